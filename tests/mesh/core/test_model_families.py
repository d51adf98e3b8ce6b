"""What a model's name says of it."""

import pytest

from mesh.core.model_families import (
    active_parameters_of,
    family_of,
    is_smaller,
    parameters_of,
    specialities_of,
)


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("qwen2.5-7b-instruct-q4_k_m", "qwen"),
        ("qwq-32b", "qwen"),
        ("meta-llama-3.1-8b-instruct", "llama"),
        ("codellama-13b", "llama"),
        ("tinyllama-1.1b-chat", "llama"),
        ("gemma-2-9b-it", "gemma"),
        ("mistral-7b-instruct-v0.3", "mistral"),
        ("ministral-8b", "mistral"),
        ("mixtral-8x7b", "mistral"),
        ("codestral-22b", "mistral"),
        ("phi-3.5-mini-instruct", "phi"),
        ("phi3:mini", "phi"),
        ("gpt-oss-20b", "gpt-oss"),
        ("openai/gpt-oss-120b", "gpt-oss"),
        ("gpt-4o-mini", "gpt"),
        ("openai/gpt-5", "gpt"),
        ("o3-mini", "gpt"),
        ("anthropic/claude-sonnet-4", "claude"),
        ("gemini-2.5-flash", "gemini"),
        ("deepseek-r1-distill-qwen-7b", "deepseek"),
        ("smollm2-135m-instruct", "smollm"),
        ("test-tiny", ""),
        ("my-own-model", ""),
        ("dolphin", ""),
        ("sphinx-2", ""),
        ("ultragpt", ""),
    ],
)
def test_a_family_is_found_in_the_name_or_not_at_all(name: str, family: str) -> None:
    assert family_of(name) == family


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("qwen2.5-0.5b-instruct", 500_000_000),
        ("smollm2-135m", 135_000_000),
        ("llama-3.1-70b", 70_000_000_000),
        ("mixtral-8x7b", 56_000_000_000),
        ("qwen3-30b-a3b", 30_000_000_000),
        ("gpt-4o", 0),
        ("model-4bit", 0),
        ("v2b3", 0),
    ],
)
def test_a_size_is_read_from_the_name(name: str, parameters: int) -> None:
    assert parameters_of(name) == parameters


@pytest.mark.parametrize(
    ("name", "active"),
    [
        ("qwen3-30b-a3b-instruct", 3_000_000_000),
        ("gpt-oss-20b-mxfp4", 3_600_000_000),
        ("mixtral-8x7b-instruct", 12_900_000_000),
        ("qwen2.5-7b", 0),
    ],
)
def test_a_mixture_of_experts_works_with_a_part_of_itself(name: str, active: int) -> None:
    assert active_parameters_of(name) == active


@pytest.mark.parametrize(
    ("name", "domains"),
    [
        ("qwen2.5-coder-7b", ("code",)),
        ("deepseek-coder", ("code",)),
        ("starcoder2-3b", ("code",)),
        ("qwen2.5-math-7b", ("math",)),
        ("medgemma-4b", ("medicine",)),
        ("encoder-small", ()),
        ("unicode-model", ()),
        ("mathematician", ()),
    ],
)
def test_a_name_says_what_a_model_was_made_for(name: str, domains: tuple[str, ...]) -> None:
    assert specialities_of(name) == domains


def test_makers_call_their_smaller_models_so() -> None:
    smaller = ["gpt-4o-mini", "gpt-5-nano", "claude-haiku-4", "gemini-2.5-flash-lite"]
    assert all(is_smaller(name) for name in smaller)
    assert not any(is_smaller(name) for name in ["gpt-4o", "claude-opus-4", "gemini-2.5-pro"])
