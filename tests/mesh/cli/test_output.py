"""What is sent to a terminal, and how counts read."""

from io import StringIO

import pytest

from mesh.cli.output import new_console, number_of


@pytest.mark.parametrize(("no_color", "sent"), [("1", "words\n"), ("", "\x1b[2mwords\x1b[0m\n")])
def test_no_color_leaves_nothing_but_the_words(
    monkeypatch: pytest.MonkeyPatch, no_color: str, sent: str
) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setenv("TERM", "xterm")
    terminal = StringIO()
    new_console(file=terminal, force_terminal=True).print("words", style="dim")
    assert terminal.getvalue() == sent


def test_one_thing_is_not_several() -> None:
    assert [number_of(each, "rule") for each in range(3)] == ["0 rules", "1 rule", "2 rules"]
