"""Which models may stand in for another one."""

from dataclasses import replace

from mesh.core.catalogue import Catalogue, Stated
from mesh.core.substitutes import Class, class_of, may_replace, substituted, substitutes
from mesh.core.types import Capability, CloudModel
from tests.mesh.core.entries import (
    BILLION,
    CATALOGUE,
    CODER,
    ENTRIES,
    GPT,
    GPT_MINI,
    LLAMA,
    QWEN_LARGE,
    QWEN_SMALL,
)
from tests.mesh.core.script import a_model

entry = CATALOGUE.entry
MISTRAL = a_model("mistral-7b", parameters=7 * BILLION)


def test_the_family_comes_first_then_the_class_the_next_better_before_the_best() -> None:
    asked = entry(a_model("qwen2.5-7b", parameters=7 * BILLION, digit="9"))
    found = substitutes(asked, ENTRIES)
    assert [each.name for each in found] == [
        "qwen2.5-coder-7b",
        "qwen2.5-14b-instruct",
        "llama-3.1-8b",
    ]


def test_a_worse_one_is_no_substitute() -> None:
    assert not may_replace(entry(QWEN_LARGE), entry(QWEN_SMALL))
    assert may_replace(entry(QWEN_SMALL), entry(QWEN_LARGE))


def test_nothing_stands_in_for_itself() -> None:
    assert substitutes(entry(CODER), [entry(CODER)]) == ()


def test_another_family_of_another_class_is_no_substitute() -> None:
    assert not may_replace(entry(MISTRAL), entry(QWEN_LARGE))
    assert may_replace(entry(MISTRAL), entry(LLAMA))


def test_what_it_was_made_for_is_asked_of_its_substitute() -> None:
    assert not may_replace(entry(CODER), entry(LLAMA))
    other = Catalogue({"llama-3.1-8b": Stated(domains=("code", "law"))})
    assert may_replace(other.entry(CODER), other.entry(LLAMA))


def test_a_shorter_context_is_no_substitute() -> None:
    short = entry(replace(LLAMA, context_tokens=4096, names=("llama-short",)))
    assert not may_replace(entry(MISTRAL), short)


def test_abilities_are_asked_of_a_substitute() -> None:
    assert not may_replace(entry(GPT), entry(CloudModel("gpt-6", "openai")))
    able = CloudModel("gpt-6", "openai", frozenset({Capability.TOOLS, Capability.VISION}))
    assert may_replace(entry(GPT), entry(able))


def test_test_models_and_real_ones_never_stand_in_for_each_other() -> None:
    real, test = a_model("a-7b", parameters=7 * BILLION), a_model("b-7b", test=True)
    assert not may_replace(entry(real), entry(replace(test, parameters=8 * BILLION)))
    assert not may_replace(entry(test), entry(real))


def test_vectors_are_never_taken_from_another_model() -> None:
    embeds = frozenset({Capability.EMBED})
    one, two = (CloudModel(f"gpt-{n}", "openai", embeds) for n in "12")
    assert not may_replace(entry(one), entry(two))


def test_a_name_that_nobody_has_may_be_stood_in_for() -> None:
    asked = CATALOGUE.by_name("llama-3-8b-instruct")
    assert asked is not None
    assert [each.name for each in substitutes(asked, ENTRIES)][:1] == ["llama-3.1-8b"]


def test_models_are_of_one_class_by_their_size() -> None:
    classes = [class_of(each) for each in ENTRIES]
    assert classes == [
        *(Class.TINY, Class.SMALL, Class.SMALL, Class.MEDIUM),
        *(Class.LARGE, Class.FRONTIER),
    ]
    assert class_of(entry(GPT_MINI)) is Class.LARGE


def test_the_receipt_says_what_answered_in_whose_place() -> None:
    assert substituted("llama", entry(CODER).name).startswith(
        "llama was asked for and qwen2.5-coder-7b"
    )
