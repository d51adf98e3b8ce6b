"""What the scorer sees of a prompt: the same every time, within bounds, in bounded time."""

import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.core.features import (
    BUCKETS,
    DOMAIN_BUCKETS,
    HEAD_CHARACTERS,
    SURFACE_NAMES,
    TAIL_CHARACTERS,
    domain_buckets,
    prompt_features,
)

BAD = {
    "empty": "",
    "a megabyte": "word and number 12 " * 55_000,
    "newlines": "\n" * 10_000,
    "options without end": "\nA. 1" * 100_000,
    "no known script": "\U0001e900\U0001e922\u1bc0\ue000" * 2_000,
    "half a character": "what is \ud800 and \udfff?",
    "nothing printable": "\0\x01\x02" * 1_000,
    "no spaces": "把这句话翻译成英文" * 1_000,
}


@given(st.text(), st.text(max_size=300))
def test_any_text_has_features_within_bounds(text: str, domain: str) -> None:
    found = prompt_features(text, domain)
    assert found == prompt_features(text, domain)
    assert len(found.surface) == len(SURFACE_NAMES)
    assert all(math.isfinite(value) and -1 <= value <= 20 for value in found.surface)
    assert all(0 <= bucket < BUCKETS for bucket in (*found.words, *found.pairs))
    assert all(0 <= bucket < DOMAIN_BUCKETS for bucket in found.domain)


@pytest.mark.parametrize("name", BAD)
def test_no_bad_prompt_makes_it_search_without_end(name: str) -> None:
    began_s = time.thread_time()  # others on the machine do not count
    for _ in range(5):
        prompt_features(BAD[name])
    assert (time.thread_time() - began_s) / 5 < 0.05  # some 1 ms; a search that goes back, minutes


def test_of_a_long_prompt_both_ends_are_read_and_no_more() -> None:
    filling = "x " * HEAD_CHARACTERS
    plain = prompt_features(filling * 3)
    assert prompt_features("first " + filling * 3) != plain
    assert prompt_features(filling * 3 + "last") != plain
    middle = filling * 2 + "middle " + filling * 2
    assert set(prompt_features(middle).words) == set(plain.words)
    assert TAIL_CHARACTERS < HEAD_CHARACTERS


def test_case_and_punctuation_change_no_word() -> None:
    assert prompt_features("Is THIS it?").words == prompt_features("is this it").words


def test_numbers_differ_by_their_length_alone() -> None:
    assert prompt_features("add 17 and 25").words == prompt_features("add 99 and 12").words
    assert prompt_features("add 17 and 25").words != prompt_features("add 1799 and 25").words


def test_scripts_without_spaces_have_words() -> None:
    assert len(prompt_features("把这句话翻译成英文").words) == 9


def test_the_shape_of_a_question_with_options_is_seen() -> None:
    shape = dict(
        zip(SURFACE_NAMES, prompt_features("Which?\nA. 12\nB. 13\nC. 14").surface, strict=True)
    )
    assert shape["has_options"] == 1.0
    assert shape["options"] == pytest.approx(0.3)
    none = dict(zip(SURFACE_NAMES, prompt_features("Which?").surface, strict=True))
    assert none["has_options"] == 0.0


def test_domains_that_share_a_word_share_a_bucket() -> None:
    assert set(domain_buckets("college_physics")) & set(domain_buckets("Physics"))
    assert not set(domain_buckets("law")) & set(domain_buckets("physics"))
    assert prompt_features("x").domain == ()
