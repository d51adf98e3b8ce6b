"""What a machine lends, and how: the table ``node`` of its settings."""

from enum import StrEnum
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from mesh.engine_address import read_engine_address
from mesh.errors import InvalidRequest
from mesh.section import Section


class Generosity(StrEnum):
    """How much of a machine its owner lends while using it."""

    LOW = "low"  # nothing new while somebody types, or needs half of the processors
    BALANCED = "balanced"  # half the slots while somebody types; nothing new without processors
    FULL = "full"  # whatever its owner does; only the threads step aside


class OnBattery(StrEnum):
    """What a machine lends that is not plugged in."""

    SERVE = "serve"  # everything, until the battery is empty
    LESS = "less"  # half the slots, and nothing new below 40 %
    STOP = "stop"  # nothing new


class ModelStore(StrEnum):
    """Another tool on this machine that keeps model files."""

    OLLAMA = "ollama"
    LM_STUDIO = "lm-studio"
    HUGGING_FACE = "hugging-face"
    LLAMA_CPP = "llama.cpp"


class NodeSettings(Section):
    """What this machine lends."""

    name: str = Field(default="", max_length=64, description="Shown to people; empty: hostname.")
    model_folders: tuple[Path, ...] = Field(
        default=(), max_length=64, description="Folders of GGUF files, instead of the usual ones."
    )
    model_stores: tuple[ModelStore, ...] = Field(
        default=tuple(ModelStore),
        max_length=16,
        description="Other tools whose models are served as they lie; empty: none.",
    )
    test_models: bool = Field(default=True, description="Serve the bundled test model as well.")
    context_tokens_max: int = Field(
        default=8192, ge=256, le=1_048_576, description="Longer contexts cost memory per slot."
    )
    slots: int = Field(
        default=4,
        ge=1,
        le=64,
        description="Answers a model works on at a time; fewer where memory is short.",
    )
    threads: int = Field(default=0, ge=0, le=512, description="Engine threads; 0: physical cores.")
    memory_share_max: float = Field(
        default=0.7,
        gt=0,
        le=1,
        description="Of the machine's memory, for all models together; never more than is free.",
    )
    idle_unload_s: float = Field(
        default=600.0, ge=0, description="A model unused for this long leaves memory; 0: never."
    )
    generosity: Generosity = Field(
        default=Generosity.BALANCED,
        description="What is lent while its owner uses it: less is calmer, more answers others.",
    )
    on_battery: OnBattery = Field(
        default=OnBattery.LESS, description="What is lent unplugged: an answer costs charge."
    )
    niceness: int = Field(
        default=5,
        ge=1,
        le=19,
        description="Of engines, as nice(1) has it: more is gentler, and slower beside other work.",
    )
    find_engines: bool = Field(
        default=True, description="Adopt Ollama, LM Studio and others that run on this machine."
    )
    engines: tuple[str, ...] = Field(
        default=(), max_length=16, description="Further engines, as http://127.0.0.1:8081."
    )
    engine_keys: dict[str, str] = Field(
        default={},
        max_length=16,
        description="Of an engine in `engines`: the variable that holds its key.",
    )
    engines_plain_http: bool = Field(
        default=False,
        description="Let prompts go to engines on other machines unencrypted.",
    )
    keep_warm_state: bool = Field(
        default=False, description="Save conversations' computed state over an unload, for a day."
    )
    warm_state_bytes_max: int = Field(
        default=2 << 30, ge=1 << 20, le=1 << 40, description="Of all saved state together."
    )

    @model_validator(mode="after")
    def _engines_are_places(self) -> Self:
        for engine in self.engines:
            try:
                read_engine_address(engine, plain_http=self.engines_plain_http)
            except InvalidRequest as failure:
                raise ValueError(str(failure)) from None
        if unnamed := self.engine_keys.keys() - set(self.engines):
            raise ValueError(f"engine_keys has {min(unnamed)[:80]!r}, which engines does not name")
        return self
