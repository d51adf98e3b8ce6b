"""Entries of a catalogue for tests: a few models that differ in what rules and rungs look at."""

from mesh.core.catalogue import Catalogue, Entry
from mesh.core.types import Capability, CloudModel, Model, ModelId
from tests.mesh.core.script import a_model

BILLION = 1_000_000_000
QWEN_SMALL = a_model("qwen2.5-0.5b-instruct", "qwen-small", parameters=BILLION // 2, digit="1")
QWEN_LARGE = a_model("qwen2.5-14b-instruct", parameters=14 * BILLION, digit="2")
CODER = a_model("qwen2.5-coder-7b", "coder", parameters=7 * BILLION, digit="3")
LLAMA = a_model("llama-3.1-8b", parameters=8 * BILLION, digit="4")
GPT = CloudModel(
    "gpt-4o",
    "openai",
    frozenset({Capability.TOOLS, Capability.VISION}),
    input_microusd_per_million_tokens=2_500_000,
    output_microusd_per_million_tokens=10_000_000,
)
GPT_MINI = CloudModel(
    "gpt-4o-mini",
    "openai",
    frozenset({Capability.TOOLS}),
    input_microusd_per_million_tokens=150_000,
    output_microusd_per_million_tokens=600_000,
)
MODELS: tuple[Model | CloudModel, ...] = (QWEN_SMALL, CODER, LLAMA, QWEN_LARGE, GPT_MINI, GPT)

CATALOGUE = Catalogue()
ENTRIES: tuple[Entry, ...] = tuple(CATALOGUE.entry(model) for model in MODELS)
NAMES = tuple(entry.name for entry in ENTRIES)


def named(*names: str) -> set[ModelId]:
    """Model ids by the names that are shown."""
    known = {entry.name: entry.model_id for entry in ENTRIES}
    return {known[name] for name in names}
