"""What is known of a model: from its file, its upstream, its name and its operator."""

from dataclasses import replace

import pytest

from mesh.core.catalogue import (
    ENTRIES_KEPT_MAX,
    QUALITY_CLOUD,
    QUALITY_LEAST,
    Catalogue,
    Stated,
    TokenPrice,
)
from mesh.core.types import Capability, CloudModel, Model
from tests.mesh.core.entries import BILLION, CODER, GPT, GPT_MINI, QWEN_LARGE, QWEN_SMALL
from tests.mesh.core.script import a_model

TINY = a_model("test-tiny", parameters=357_600, test=True)


def test_a_model_of_the_mesh_is_known_by_its_file_and_its_name() -> None:
    entry = Catalogue().entry(CODER)
    assert (entry.model_id, entry.name) == (CODER.model_id, "qwen2.5-coder-7b")
    assert (entry.family, entry.domains, entry.local) == ("qwen", ("code",), True)
    assert (entry.parameters, entry.size_bytes) == (7 * BILLION, CODER.size_bytes)
    assert entry.context_tokens == CODER.context_tokens
    assert entry.names == {"qwen2.5-coder-7b", "coder", CODER.model_id}
    assert entry.energy_source == "estimated by size"


def test_a_cloud_model_is_known_by_its_upstream_and_its_price() -> None:
    entry = Catalogue().entry(replace(GPT, context_tokens=128_000))
    assert (entry.family, entry.upstream, entry.local) == ("gpt", "openai", False)
    assert (entry.tools, entry.vision, entry.energy_microwatthours) == (True, True, 0.0)
    assert (entry.price, entry.context_tokens) == (TokenPrice(2.5, 10.0), 128_000)
    assert entry.names == {"gpt-4o", "cloud:gpt-4o"}


def test_what_nobody_knows_is_not_made_up() -> None:
    entry = Catalogue().entry(CloudModel("whatever", "somebody"))
    assert (entry.family, entry.parameters, entry.context_tokens) == ("", 0, 0)
    assert (entry.price, entry.domains) == (None, ())
    assert (entry.tools, entry.vision) == (False, False)


def test_a_file_that_says_its_domain_is_believed_before_its_name() -> None:
    model = replace(CODER, domains=("security",))
    assert Catalogue().entry(model).domains == ("security",)


def test_the_family_may_stand_in_the_architecture_alone() -> None:
    model = replace(a_model("my-own"), architecture="qwen2")
    assert Catalogue().entry(model).family == "qwen"


def test_the_operator_adds_and_overrides() -> None:
    said = Stated(
        family="ours",
        domains=("networking",),
        quality=0.9,
        context_tokens=1024,
        energy_microwatthours=5.0,
        tools=True,
    )
    entry = Catalogue({"Coder": said}).entry(CODER)
    assert (entry.family, entry.domains, entry.quality) == ("ours", ("networking",), 0.9)
    assert (entry.context_tokens, entry.energy_microwatthours) == (1024, 5.0)
    assert (entry.energy_source, entry.tools) == ("the operator's", True)
    assert entry.parameters == 7 * BILLION  # not said, so its file's


def test_the_operators_price_wins_over_the_published_one() -> None:
    own = TokenPrice(1.0, 2.0, "operator")
    entry = Catalogue({"cloud:gpt-4o": Stated(price=own)}).entry(GPT)
    assert entry.price == own


@pytest.mark.parametrize("name", ["qwen2.5-coder-7b", "CODER", CODER.model_id])
def test_the_operator_may_call_a_model_by_any_of_its_names(name: str) -> None:
    assert Catalogue({name: Stated(quality=0.5)}).entry(CODER).quality == 0.5


def test_an_alias_of_the_operator_stands_for_its_model_in_any_case() -> None:
    catalogue = Catalogue({"coder": Stated(aliases=("Our-Best",))})
    assert catalogue.canonical("our-BEST") == "coder"
    assert catalogue.canonical("coder") == "coder"
    assert catalogue.canonical("auto") == "auto"
    assert "our-best" in catalogue.entry(CODER).names
    assert "our-best" not in catalogue.entry(QWEN_SMALL).names


def test_a_model_has_one_entry_until_its_facts_change() -> None:
    catalogue = Catalogue()
    first = catalogue.entry(CODER)
    assert catalogue.entry(replace(CODER)) is first
    assert catalogue.entry(replace(CODER, names=("other",))) is not first


def test_no_more_entries_are_kept_than_a_large_mesh_needs() -> None:
    catalogue = Catalogue()
    first = catalogue.entry(CODER)
    for number in range(ENTRIES_KEPT_MAX):
        catalogue.entry(CloudModel(f"model-{number}", "somebody"))
    assert catalogue.entry(CODER) is not first


def test_a_larger_model_is_taken_to_be_better_until_outcomes_say() -> None:
    sizes = [1, 350_000, 10_000_000, BILLION // 2, BILLION, 7 * BILLION, 70 * BILLION, 10**13]
    models = [a_model(f"m{size}", parameters=size) for size in sizes]
    qualities = [Catalogue().entry(model).quality for model in models]
    assert qualities == sorted(qualities)
    assert qualities[0] == QUALITY_LEAST
    assert qualities[3] == pytest.approx(0.475)
    assert qualities[-1] == pytest.approx(0.861)


def test_of_an_upstreams_models_the_smaller_ones_are_taken_to_be_worse() -> None:
    catalogue = Catalogue()
    assert catalogue.entry(GPT_MINI).quality < catalogue.entry(GPT).quality == QUALITY_CLOUD


def test_a_mixture_of_experts_takes_the_energy_of_the_part_that_works() -> None:
    dense = a_model("dense-30b", parameters=30 * BILLION)
    sparse = a_model("sparse-30b-a3b", parameters=30 * BILLION)
    catalogue = Catalogue()
    share = catalogue.entry(sparse).energy_microwatthours / (
        catalogue.entry(dense).energy_microwatthours
    )
    assert share == pytest.approx(0.1)


def test_four_gigabytes_take_about_half_a_milliwatthour_a_token() -> None:
    model = replace(a_model("m"), size_bytes=4_000_000_000)
    assert Catalogue().entry(model).energy_microwatthours == pytest.approx(555.6, rel=0.01)


@pytest.mark.parametrize("model", [TINY, QWEN_LARGE])
def test_test_models_are_marked(model: Model) -> None:
    assert Catalogue().entry(model).test is model.test


def test_a_name_that_nobody_has_says_what_it_can() -> None:
    catalogue = Catalogue({"house-blend": Stated(quality=0.7)})
    asked = catalogue.by_name("llama-3.1-8b-instruct")
    assert asked is not None
    assert (asked.family, asked.parameters) == ("llama", 8 * BILLION)
    cloud = catalogue.by_name("anthropic/claude-sonnet-4")
    assert cloud is not None
    assert (cloud.family, cloud.parameters, cloud.quality) == ("claude", 0, QUALITY_CLOUD)
    own = catalogue.by_name("house-blend")
    assert own is not None
    assert own.quality == 0.7
    assert catalogue.by_name("nothing-known") is None


def test_an_upstream_that_embeds_is_marked() -> None:
    model = CloudModel("text-embedding-3", "openai", frozenset({Capability.EMBED}))
    assert Catalogue().entry(model).embeds
