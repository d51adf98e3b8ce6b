"""What Ollama says of its models.

Fields as in docs.ollama.com/api: ``/api/tags`` lists what is on its disk, ``/api/ps`` what is
loaded, with the context it was loaded with, ``/api/show`` a model's capabilities, its parameters
and what its file says.

Two things that are left out. Models that Ollama serves from its own cloud (``remote_host``, or a
name that ends so): a prompt would leave the mesh by them. And the context that the weights could
have: Ollama cuts a longer prompt without a word (docs.ollama.com/context-length: 4,096 tokens
unless told otherwise), so what is offered is what it was loaded with or will be.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from mesh.core.types import Capability
from node_agent.adopted.described import (
    Described,
    EngineListing,
    Json,
    number_of,
    objects_of,
    part_of,
    text_of,
)
from node_agent.adopted.kinds import (
    OLLAMA_LOADED,
    OLLAMA_SHOW,
    OLLAMA_TAGS,
    OLLAMA_VERSION,
    Kind,
)
from node_agent.adopted.looking import Looking, NoSense

CONTEXT_TOKENS_DEFAULT = 4096
LATEST = ":latest"
_CLOUD = re.compile(r"[:-]cloud$")
_NUM_CTX = re.compile(r"^num_ctx\s+(\d{1,9})\s*$", re.MULTILINE)
_CAPABILITIES = {
    "tools": Capability.TOOLS,
    "vision": Capability.VISION,
    "embedding": Capability.EMBED,
}
_UNITS = {"K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}
_PARAMETERS = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)([KMBT])")
# The Modelfile that it shows begins with comments and the blob of the weights, whose name is their
# sha256; further ones are of projectors, and an adapter makes other weights of them.
_FROM = re.compile(r"^FROM .{0,4000}[/\\\\]sha256[-:]([0-9a-f]{64})\s*$", re.MULTILINE)
_ADAPTER = re.compile(r"^ADAPTER ", re.MULTILINE)
MODELFILE_CHARACTERS_MAX = 256 * 1024  # of one with its licence
PARAMETERS_CHARACTERS_MAX = 16 * 1024  # of a Modelfile's parameters


@dataclass(slots=True)
class Ollama:
    """Remembers descriptions, each of which takes a call, for as long as the digest stands."""

    _shown: dict[tuple[str, str], Json] = field(default_factory=dict)

    async def list(self, looking: Looking) -> EngineListing:
        """Raises NotThere, NoSense."""
        version = text_of(await looking.ask(OLLAMA_VERSION), "version", 32)
        tags = objects_of(await looking.ask(OLLAMA_TAGS), "models")
        loaded = {
            text_of(each, "name"): each
            for each in objects_of(await looking.ask(OLLAMA_LOADED), "models")
        }
        shown: dict[tuple[str, str], Json] = {}
        models = []
        for tag in tags:
            name, digest = text_of(tag, "name"), text_of(tag, "digest")
            if not name or _is_remote(tag, name):
                continue
            key = (name, digest)
            shown[key] = self._shown.get(key) or await _show(looking, name)
            models.append(described(tag, shown[key], loaded.get(name)))
        self._shown = shown
        return EngineListing(Kind.OLLAMA, version, tuple(models))


async def _show(looking: Looking, name: str) -> Json:
    try:
        return await looking.ask(OLLAMA_SHOW, {"model": name})
    except NoSense:
        return {}  # it was removed meanwhile, or is of a kind that this version cannot describe


def described(tag: Json, shown: Json, loaded: Json | None) -> Described:
    """Return a model from its tag, its description and its place among the loaded ones."""
    name, details = text_of(tag, "name"), part_of(tag, "details")
    said, about = shown.get("capabilities"), part_of(shown, "model_info")
    capable = said if isinstance(said, list) else []
    capabilities = {_CAPABILITIES[each] for each in capable if each in _CAPABILITIES}
    if Capability.EMBED in capabilities and "completion" not in capable:
        capabilities = {Capability.EMBED}
    else:
        capabilities = (capabilities - {Capability.EMBED}) | {Capability.GRAMMAR}
    family = text_of(details, "family", 64)
    return Described(
        name,
        (name, name.removesuffix(LATEST)) if name.endswith(LATEST) else (name,),
        loaded is not None,
        frozenset(capabilities),
        _context_tokens(shown, about, loaded),
        text_of(tag, "digest", 128),
        text_of(about, "general.architecture", 64) or family,
        number_of(about, "general.parameter_count") or _parameters(details),
        number_of(tag, "size"),
        text_of(details, "quantization_level", 32),
        weights_sha256=_weights(shown),
    )


def _context_tokens(shown: Json, about: Mapping[str, object], loaded: Json | None) -> int:
    if loaded is not None and (told := number_of(loaded, "context_length")):
        return told
    said = shown.get("parameters")
    found = _NUM_CTX.search(said[:PARAMETERS_CHARACTERS_MAX]) if isinstance(said, str) else None
    wanted = int(found[1]) if found else CONTEXT_TOKENS_DEFAULT
    trained = number_of(about, f"{about.get('general.architecture')}.context_length")
    return min(wanted, trained) if trained else wanted


def _weights(shown: Json) -> str:
    said = shown.get("modelfile")
    if not isinstance(said, str) or len(said) > MODELFILE_CHARACTERS_MAX or _ADAPTER.search(said):
        return ""
    found = _FROM.search(said)
    return found[1] if found else ""


def _parameters(details: Json) -> int:
    found = _PARAMETERS.fullmatch(text_of(details, "parameter_size", 16))
    return round(float(found[1]) * _UNITS[found[2]]) if found else 0


def _is_remote(tag: Json, name: str) -> bool:
    return bool(tag.get("remote_host") or tag.get("remote_model") or _CLOUD.search(name))
