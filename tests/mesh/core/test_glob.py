"""Patterns of names."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.core.glob import is_pattern, matches


@pytest.mark.parametrize(
    ("pattern", "text", "does"),
    [
        ("qwen*", "qwen2.5", True),
        ("qwen*", "my-qwen", False),
        ("*coder*", "qwen-coder-7b", True),
        ("gpt-?", "gpt-5", True),
        ("gpt-?", "gpt-", False),
        ("*", "", True),
        ("", "", True),
        ("", "a", False),
        ("a*b*c", "aXbXbXc", True),
        ("a*b*c", "aXbXbX", False),
        ("[a]*", "[a]x", True),
        ("a.c", "abc", False),
    ],
)
def test_a_pattern_is_text_but_for_stars_and_question_marks(
    pattern: str, text: str, does: bool
) -> None:
    assert matches(pattern, text) is does


def test_only_stars_and_question_marks_make_a_pattern() -> None:
    assert is_pattern("a*")
    assert is_pattern("a?")
    assert not is_pattern("a.+[b]")


@given(st.text("ab*?", max_size=8), st.text("ab", max_size=10))
def test_it_agrees_with_a_regular_expression(pattern: str, text: str) -> None:
    as_regex = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    assert matches(pattern, text) is (re.fullmatch(as_regex, text) is not None)


def test_a_pattern_that_would_ruin_a_backtracking_matcher_ends_at_once() -> None:
    assert not matches("*a" * 60 + "*b", "a" * 250)
