"""What a manifest of Ollama says: which blobs a model's name stands for.

Facts, from github.com/ollama/ollama, manifest/manifest.go and server/images.go: a manifest is JSON
with ``layers``, each with ``mediaType``, ``digest`` ("sha256:" and 64 hex digits) and ``size``.
Since version 0.40 it can be a list of ``manifests`` instead, one for each kind of engine, whole or
as a reference to a blob by ``digest``.

It comes from a registry by way of somebody's disk, so it is checked: nothing in it becomes a path
but 64 hex digits.
"""

import re
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field, ValidationError

MANIFEST_BYTES_MAX = 4 << 20  # those of one layer a tensor take hundreds of kilobytes
CHILDREN_MAX = 64  # one for each kind of engine, of which there are three
LAYERS_MAX = 65_536  # as a GGUF file has tensors at most

_DIGEST = re.compile(r"sha256[:-](?P<hex>[0-9a-fA-F]{64})")
_KINDS = "application/vnd.ollama.image."
# Engines that read GGUF; "" is what older manifests say of theirs.
_GGUF_RUNNERS = ("llamacpp", "ollama", "")


class BrokenManifest(ValueError):
    """Says what is wrong with a manifest."""


class LayerKind(StrEnum):
    """The layers that matter here, by the ends of their media types."""

    MODEL = "model"  # the weights, a GGUF file
    PROJECTOR = "projector"
    ADAPTER = "adapter"
    TENSOR = "tensor"  # weights that are not GGUF, each in a blob of its own


class Layer(BaseModel):
    """One blob of a model."""

    model_config = ConfigDict(frozen=True)

    media_type: str = Field(default="", alias="mediaType", max_length=256)
    digest: str = Field(default="", max_length=256)
    size: int = Field(default=0, ge=0, le=1 << 50)

    @property
    def sha256(self) -> str:
        """Raises BrokenManifest: the digest is none."""
        return sha256_in(self.digest)


class Manifest(BaseModel):
    """One name's manifest, as far as it matters here."""

    model_config = ConfigDict(frozen=True)

    layers: tuple[Layer, ...] = Field(default=(), max_length=LAYERS_MAX)
    manifests: "tuple[Manifest, ...]" = Field(default=(), max_length=CHILDREN_MAX)
    runner: str = Field(default="", max_length=64)
    digest: str = Field(default="", max_length=256)  # of a reference to another one

    def of_kind(self, kind: LayerKind) -> list[Layer]:
        """Return the layers of one kind."""
        return [layer for layer in self.layers if layer.media_type == _KINDS + kind]

    def for_gguf(self) -> "Manifest":
        """Return the one of a list that an engine for GGUF would take; itself if it is no list."""
        for runner in _GGUF_RUNNERS:
            for child in self.manifests:
                if child.runner.lower() == runner:
                    return child
        return self


def read_manifest(raw: bytes) -> Manifest:
    """Return what a manifest says.

    Raises:
        BrokenManifest: it is none; says why in a line, with nothing of its content.
    """
    try:
        return Manifest.model_validate_json(raw)
    except ValidationError as failure:
        first = failure.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"][:4])) or "it"
        why = "is not JSON" if first["type"] == "json_invalid" else "is not as expected"
        raise BrokenManifest(f"{where} {why}") from None


def sha256_in(digest: str) -> str:
    """Return the 64 hex digits of a digest, in small letters.

    Raises:
        BrokenManifest: it is none.
    """
    found = _DIGEST.fullmatch(digest)
    if not found:
        raise BrokenManifest("it names a blob as no blob is named")
    return found["hex"].lower()
