"""A prompt's domain is told from its words, and a foreign one is not forced into any."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.core.domains import Domain, recognised
from mesh.core.features import prompt_features
from mesh.training.recognising import ROWS_MIN, domains_of

_TEXTS = {
    "networking": ("Is the address {} in the subnet {}?", "Which route does a packet to {} take?"),
    "arithmetic": ("What is {} plus {}?", "Multiply the number {} by {}."),
    "text": ("Reverse the letters of the word {}", "Sort the letters of the word {}"),
}


def _prompts(domain: str, count: int, seed: int) -> list[str]:
    rng = Random(seed)
    return [
        rng.choice(_TEXTS[domain]).format(rng.randrange(1000), rng.randrange(1000))
        for _ in range(count)
    ]


@pytest.fixture(scope="module")
def domains() -> dict[str, Domain]:
    rows = [
        (domain, prompt_features(each)) for domain in _TEXTS for each in _prompts(domain, 80, 1)
    ]
    return dict(domains_of(rows))


@pytest.mark.parametrize("domain", _TEXTS)
def test_prompts_are_recognised(domains: dict[str, Domain], domain: str) -> None:
    found = [recognised(prompt_features(each), domains).domain for each in _prompts(domain, 50, 2)]
    assert found.count(domain) >= 45


@pytest.mark.parametrize("foreign", _TEXTS)
def test_prompts_of_a_domain_that_is_not_known_are_of_none(
    domains: dict[str, Domain], foreign: str
) -> None:
    known = {name: each for name, each in domains.items() if name != foreign}
    found = [recognised(prompt_features(each), known).foreign for each in _prompts(foreign, 50, 3)]
    assert found.count(True) >= 45


def test_too_few_prompts_are_no_domain() -> None:
    rows = [("text", prompt_features(each)) for each in _prompts("text", ROWS_MIN - 1, 1)]
    assert domains_of(rows) == {}
    assert not recognised(prompt_features("Reverse the letters of the word ab"), {}).foreign


@given(st.text(max_size=300))
def test_any_text_has_a_known_domain_or_none(text: str) -> None:
    rows = [("text", prompt_features(each)) for each in _prompts("text", ROWS_MIN, 1)]
    assert recognised(prompt_features(text), domains_of(rows)).domain in {"", "text"}
