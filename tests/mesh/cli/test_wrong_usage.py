"""What wrong usage is called, through the whole of the command line."""

import pytest
import typer
from typer.testing import CliRunner

from mesh.cli import ask, ledger
from mesh.cli.commands import Commands


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["ledger", "requests", "--state", "bogus"], "--state: 'bogus' is not one of 'answered'"),
        (["ask"], "or - to read it from stdin"),
    ],
)
def test_wrong_usage_is_told_in_our_words(words: list[str], said: str) -> None:
    commands = typer.Typer(cls=Commands, rich_markup_mode=None)
    ask.register(commands)
    ledger.register(commands)
    told = CliRunner().invoke(commands, words)
    assert told.exit_code == 2
    assert said in told.stderr.replace("'--state'", "--state")
