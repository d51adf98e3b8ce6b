"""Which rules' words a prompt has."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.core.rule_words import (
    LOOKED_AT_CHARACTERS,
    OCCURRENCES_MAX,
    PHRASES_MAX,
    WORDS_MAX,
    Words,
)


def has(prompt: str, *words: str) -> bool:
    return Words({"rule": words}).matched(prompt) == {"rule"}


@pytest.mark.parametrize(
    ("word", "prompt", "found"),
    [
        ("secret", "a secret plan", True),
        ("secret", "SECRET", True),
        ("secret", "my secretary", False),
        ("secret", "top_secret", False),
        ("secret", "(secret)", True),
        ("api key", "the API\n  key is", True),
        ("api key", "the api-key is", True),
        ("api key", "api of a key", False),
        ("api key", "an apis key", False),
        ("c++", "I write C++.", True),
        ("c++", "abc++", False),
        ("sk-", "sk-12", True),
        ("don't", "please don't", True),
        ("x-ray", "take an x-ray now", True),
        ("größe", "die GRÖSSE", True),
        ("straße", "die STRASSE", True),
        ("password", "\uff50\uff41\uff53\uff53\uff57\uff4f\uff52\uff44", True),
        ("密码", "我的密码是什么", True),
        ("パスワード", "新しいパスワードを", True),
        ("密码", "密 码", False),
        ("42", "it is 42!", True),
        ("42", "it is 421", False),
    ],
)
def test_a_word_is_found_whole_in_any_case(word: str, prompt: str, found: bool) -> None:
    assert has(prompt, word) is found


def test_any_of_a_rules_words_suffices_and_each_rule_is_told_once() -> None:
    words = Words({"one": ("alpha", "beta"), "two": ("beta", "no such"), "three": ("gamma",)})
    assert words.matched("beta alpha") == {"one", "two"}
    assert words.matched("nothing") == frozenset()


def test_without_words_no_prompt_is_looked_at() -> None:
    words = Words({})
    assert not words
    assert words.matched("x" * 10) == frozenset()


def test_of_a_long_prompt_the_newest_part_is_looked_at() -> None:
    filler = "word " * LOOKED_AT_CHARACTERS
    assert has(filler + "secret", "secret")
    assert not has("secret " + filler, "secret")


def test_a_word_that_the_cut_made_is_not_found() -> None:
    rest = " " + "x" * (LOOKED_AT_CHARACTERS - 7)
    assert not has("mysecret" + rest, "secret")


@pytest.mark.parametrize("word", ["", "  ", "--", "x" * 81])
def test_what_is_no_word_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match="is no word"):
        Words({"rule": (word,)})


def test_how_many_words_there_may_be_is_bounded() -> None:
    with pytest.raises(ValueError, match="are looked for"):
        Words({"rule": tuple(f"w{n}" for n in range(WORDS_MAX + 1))})
    with pytest.raises(ValueError, match="are looked for"):
        Words({"rule": tuple(f"a {n}" for n in range(PHRASES_MAX + 1))})
    Words({"rule": tuple(f"w{n}" for n in range(WORDS_MAX))})


def test_a_text_that_is_made_to_take_time_counts_as_found() -> None:
    assert not has("ba+ " * (OCCURRENCES_MAX - 1), "a+")
    assert has("ba+ " * (OCCURRENCES_MAX + 1), "a+")


@given(st.text(max_size=200), st.lists(st.text(min_size=1, max_size=10), max_size=5))
def test_any_prompt_and_any_word_are_taken(prompt: str, words: list[str]) -> None:
    taken = []
    for word in words:
        try:
            Words({"": (word,)})
        except ValueError:
            continue
        taken.append(word)
    found = Words({"rule": taken}).matched(prompt)
    assert found <= {"rule"}
    if taken:
        assert has(f"{prompt} {taken[0]} ", taken[0])
