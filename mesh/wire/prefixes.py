"""Prefixes of prompts: hashed where an attempt starts, and reported by the node that holds them."""

from collections.abc import Iterable, Iterator, Sequence

from mesh.core.blocks import block_hashes, call_piece, message_piece, tool_piece
from mesh.core.types import PREFIXES_MAX, ModelId, PrefixHeld
from mesh.v1 import fleet_pb2 as fleet
from mesh.v1 import inference_pb2 as inference
from mesh.wire import enums

_ROLES: dict[int, str] = {number: str(role) for number, role in enums.ROLE.items()}


MODELS_HASHED_MAX = 8  # of one prompt: a pick looks at four, and each retry may find another


class PromptHashes:
    """The block hashes of a checked request, worked out once a model, when they are asked for.

    Whoever places a request asks for those of models that somebody holds beginnings for, and
    whoever starts it for those of the one that was chosen.
    """

    __slots__ = ("_key", "_known", "_request")

    def __init__(self, request: inference.GenerateRequest, *, key: bytes) -> None:
        self._request, self._key = request, key
        self._known: dict[ModelId, tuple[int, ...]] = {}

    def __call__(self, model_id: ModelId) -> tuple[int, ...]:
        known = self._known.get(model_id)
        if known is None:
            known = hash_blocks(model_id, self._request, key=self._key)
            if len(self._known) < MODELS_HASHED_MAX:
                self._known[model_id] = known
        return known


def hash_blocks(
    model_id: ModelId, request: inference.GenerateRequest, *, key: bytes
) -> tuple[int, ...]:
    """Return the hashes of a checked request's blocks, see ``mesh.core.blocks``."""
    return block_hashes(model_id, _pieces(request), key=key)


def read_prefixes(held: Sequence[fleet.PrefixHeld], *, tokens_max: int) -> tuple[PrefixHeld, ...]:
    """Return what a node says that it holds; ``tokens_max`` is what a slot of it could."""
    return tuple(
        PrefixHeld(each.block_hash, min(each.tokens, tokens_max)) for each in held[:PREFIXES_MAX]
    )


def write_prefixes(held: Iterable[PrefixHeld]) -> list[fleet.PrefixHeld]:
    return [fleet.PrefixHeld(block_hash=each.block_hash, tokens=each.tokens) for each in held]


def _pieces(request: inference.GenerateRequest) -> Iterator[bytes]:
    """Write what an engine reads of a request, up to an image: who sees any tells no prefixes.

    Before a first token, so by few looks into messages: 20 messages of 400 characters take 80 us
    with their hashes, 100 of 80 characters 280 us (measured on a busy machine); to build core
    messages of them first took four times as long.
    """
    for tool in request.tools:
        yield tool_piece(tool.name, tool.description, tool.parameters_json)
    for message in request.messages:
        parts = message.parts
        text = parts[0].text if len(parts) == 1 else "".join([part.text for part in parts])
        if (not text or len(parts) > 1) and any(part.HasField("image") for part in parts):
            return
        yield message_piece(_ROLES[message.role], message.name, message.tool_call_id, text)
        for call in message.tool_calls:
            yield call_piece(call.id, call.name, call.arguments_json)
