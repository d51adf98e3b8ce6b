"""What the reader child says of a model file. Checked at the edge: the child may be taken over."""

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from mesh.core.footprint import Shape
from mesh.core.types import Model, ModelIdentity
from node_agent.library.kinds import Kind

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
ShortText = Annotated[str, Field(max_length=64)]
Prompt = Annotated[str, Field(max_length=400)]


class Checked(BaseModel):
    """Data from outside: frozen, nothing converted, nothing unknown."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


Count = Annotated[int, Field(ge=0, le=2**53)]


class ShapeFacts(Checked):
    """See ``Shape``; zeros where the file does not tell."""

    weights_bytes: Count = 0
    repacked_bytes: Count = 0
    replaced_bytes: Count = 0
    cache_bytes_per_token: int = Field(default=0, ge=0, le=2**30)
    state_bytes: Count = 0
    width: Count = 0
    layers: Count = 0
    heads: Count = 0
    head_width: Count = 0
    feed_forward: Count = 0
    experts_used: Count = 0
    expert_width: Count = 0
    windowed: bool = False
    inner: Count = 0
    words: Count = 0
    merges: Count = 0
    encoder: bool = False

    def shape(self) -> Shape:
        return Shape(**self.model_dump())


class Description(Checked):
    """The facts of one model file."""

    sha256: Sha256
    size_bytes: int = Field(ge=0)
    mtime_ns: int  # of the file that was read: it may have been replaced since it was found
    name: str = Field(max_length=256)  # general.name, as it is
    architecture: ShortText = Field(min_length=1)
    parameters: int = Field(ge=1, le=10**15)
    quantisation: ShortText
    context_tokens: int = Field(ge=1, le=2**31)
    shape: ShapeFacts = ShapeFacts()
    embeds: bool = False  # it turns text into vectors, and writes none
    template_sha256: Sha256 | None
    test: bool
    tasks: tuple[ShortText, ...] = Field(max_length=32, strict=False)  # JSON has no tuples
    examples: tuple[Prompt, ...] = Field(max_length=32, strict=False)
    domains: tuple[ShortText, ...] = Field(default=(), max_length=8, strict=False)

    def model(self, names: tuple[str, ...]) -> Model:
        """Return the model of this file under ``names``."""
        return Model(
            identity=ModelIdentity(self.sha256, self.template_sha256 or "", self.quantisation),
            names=names,
            architecture=self.architecture,
            parameters=self.parameters,
            size_bytes=self.size_bytes,
            context_tokens=self.context_tokens,
            test=self.test,
            tasks=self.tasks,
            examples=self.examples,
            domains=self.domains,
        )


class Fault(StrEnum):
    """Why a file was not described."""

    BROKEN = "broken"  # it never will be, unless it changes
    IGNORED = "ignored"  # it is whole, but no model that can be served
    GONE = "gone"  # it vanished
    CHANGING = "changing"  # it changed while it was read; a download, perhaps
    AGAIN = "again"  # not the file's fault; worth another try


class Rejection(Checked):
    """A file that was not described."""

    fault: Fault = Field(strict=False)
    reason: str = Field(max_length=400)
    kind: Kind = Field(default=Kind.OTHER, strict=False)


class ChildLine(Checked):
    """One line of JSON that the child prints: progress, any number of times, then an answer."""

    progress_bytes: int | None = None
    description: Description | None = None
    rejection: Rejection | None = None


Outcome = Description | Rejection
