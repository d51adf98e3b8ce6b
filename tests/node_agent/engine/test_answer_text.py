"""What is shown does not depend on where tokens cut the text."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from node_agent.engine.answer_text import AnswerText

# Few letters, so that stop strings are found, overlap, and begin without ending.
stops = st.lists(st.text("abé€", min_size=1, max_size=4), max_size=3)
spoken = st.text("abé€𝄞", max_size=30).map(str.encode)
cuts = st.lists(st.integers(min_value=0, max_value=60), max_size=20)


def pieces(spoken: bytes, at: list[int]) -> list[bytes]:
    edges = sorted({0, len(spoken), *(cut for cut in at if cut < len(spoken))})
    return [spoken[start:end] for start, end in pairwise(edges)]


def shown(spoken: bytes, at: list[int], stop: list[str]) -> tuple[str, bool]:
    answer = AnswerText(stop)
    text = "".join(answer.feed(piece) for piece in pieces(spoken, at))
    return text + answer.finish(), answer.stopped


def expected(text: str, stop: list[str]) -> tuple[str, bool]:
    """The slow way: go letter by letter, and look whether a stop string has just ended."""
    for end in range(1, len(text) + 1):
        found = [end - len(one) for one in stop if text[:end].endswith(one)]
        if found:
            return text[: min(found)], True
    return text, False


@given(spoken, cuts, stops)
@example(b"abab", [1, 2, 3], ["bab", "ab"])
@example("a€b".encode(), [2], ["€b"])
def test_text_ends_before_the_stop_string_that_completes_first(
    spoken: bytes, at: list[int], stop: list[str]
) -> None:
    assert shown(spoken, at, stop) == expected(spoken.decode(), stop)


@given(st.binary(max_size=40), cuts)
def test_bytes_that_are_no_text_are_replaced_as_they_would_be_in_one_piece(
    spoken: bytes, at: list[int]
) -> None:
    assert shown(spoken, at, []) == (spoken.decode(errors="replace"), False)


@given(spoken, cuts, stops)
def test_nothing_shown_is_ever_taken_back(spoken: bytes, at: list[int], stop: list[str]) -> None:
    answer, text = AnswerText(stop), ""
    for piece in pieces(spoken, at):
        text += answer.feed(piece)
        assert expected(spoken.decode(), stop)[0].startswith(text)


def test_half_a_character_is_held_back_until_it_is_whole() -> None:
    answer = AnswerText(())
    assert [answer.feed(bytes([byte])) for byte in "€".encode()] == ["", "", "€"]


@pytest.mark.parametrize(
    ("fed", "released"), [(b"EN", ""), (b"a EN", "a "), (b"a END", "a "), (b"NEED", "NEED")]
)
def test_only_what_may_become_a_stop_string_is_held_back(fed: bytes, released: str) -> None:
    assert AnswerText(("ENDE",)).feed(fed) == released
