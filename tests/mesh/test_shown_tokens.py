"""Log-probabilities go with the text that is shown, whatever held it back."""

from hypothesis import given
from hypothesis import strategies as st

from mesh.core.generation import TokenLogprob
from mesh.shown_tokens import ShownTokens


def tokens(*pieces: bytes) -> list[TokenLogprob]:
    return [TokenLogprob(id_, -1.0, piece, ()) for id_, piece in enumerate(pieces)]


def ids(told: list[TokenLogprob]) -> list[int]:
    return [each.id for each in told]


def test_a_token_is_shown_with_its_text() -> None:
    shown = ShownTokens()
    first, second = tokens(b"Hello", b" you")
    assert shown.take("Hello", [first]) == [first]
    assert shown.take(" you", [second]) == [second]


def test_both_halves_of_a_character_are_shown_when_it_is_whole() -> None:
    shown = ShownTokens()
    plain, half, rest = tokens(b"a", b"\xc3", b"\xab")
    assert ids(shown.take("a", [plain])) == [0]
    assert shown.take("", [half]) == []
    assert ids(shown.take("ë", [rest])) == [1, 2]


def test_the_tokens_of_a_stop_string_are_never_shown() -> None:
    shown = ShownTokens()
    answer, begins, ends = tokens(b"5 \n", b"Q", b":")
    assert ids(shown.take("5 \n", [answer])) == [0]
    assert shown.take("", [begins]) == []
    assert shown.take("", [ends]) == []


def test_what_was_held_back_for_nothing_is_shown_later() -> None:
    shown = ShownTokens()
    begins, goes_on = tokens(b"Q", b"uick")
    assert shown.take("", [begins]) == []
    assert ids(shown.take("Quick", [goes_on])) == [0, 1]


def test_a_token_that_a_stop_string_cuts_is_shown_as_its_beginning_is() -> None:
    shown = ShownTokens()
    assert ids(shown.take("ha", tokens(b"halt"))) == [0]


def test_a_control_token_is_shown_in_its_place() -> None:
    shown = ShownTokens()
    a, control, b, held = tokens(b"a", b"", b"b", b"Q")
    assert ids(shown.take("a", [a, control])) == [0, 1]
    assert ids(shown.take("b", [b])) == [2]
    assert shown.take("", [held, *tokens(b"")]) == []  # behind a token that is held back


@given(st.lists(st.binary(max_size=4), max_size=20), st.integers(1, 5))
def test_all_tokens_of_a_whole_text_are_shown_and_none_twice(
    pieces: list[bytes], batch: int
) -> None:
    told = tokens(*pieces)
    text = b"".join(pieces).decode(errors="replace")  # bytes that are no text at all, too
    shown, gone = ShownTokens(), []
    for start in range(0, len(told), batch):
        gone += shown.take("", told[start : start + batch])
    assert ids(gone + shown.take(text, [])) == list(range(len(told)))
