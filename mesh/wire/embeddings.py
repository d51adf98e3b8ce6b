"""Texts to embed, and the vectors that come of them."""

from mesh.core.embedding import INPUTS_MAX, Embeddings
from mesh.core.types import AUTO, Capability, Policy, Request, RequestKey, Tier, Usage
from mesh.errors import InvalidRequest
from mesh.v1 import inference_pb2 as inference
from mesh.wire import enums
from mesh.wire.answers import write_usage
from mesh.wire.origin import check_name
from mesh.wire.requests import (
    DEADLINE_DEFAULT_S,
    DEADLINE_MAX_S,
    NAME_CHARACTERS_MAX,
    REQUEST_ID,
)


def read_embed(
    message: inference.EmbedRequest, *, principal: str, now_s: float, tier: Tier
) -> Request:
    """Check a client's request and return what routing sees of it.

    Args:
        tier: how far the texts may travel if the request does not say.

    Raises:
        InvalidRequest: a field is missing, malformed or out of range; names it.
    """
    if not REQUEST_ID.fullmatch(message.request_id):
        raise InvalidRequest(
            "request_id must be 1 to 64 characters of [A-Za-z0-9._:-]",
            hint="make one per request, such as a UUID",
        )
    check_name("model", message.model, NAME_CHARACTERS_MAX)
    if not 1 <= len(message.inputs) <= INPUTS_MAX:
        raise InvalidRequest(
            f"inputs has {len(message.inputs)} texts", hint=f"send 1 to {INPUTS_MAX}"
        )
    given_s = message.deadline_ms / 1000 if message.deadline_ms else DEADLINE_DEFAULT_S
    return Request(
        key=RequestKey(principal, message.request_id),
        model=message.model or AUTO,
        tier=enums.read(enums.TIER, message.tier, "tier") if message.tier else tier,
        policy=Policy.BALANCED,
        prompt_bytes=sum(len(text.encode()) for text in message.inputs),
        max_tokens=0,
        deadline_s=now_s + min(given_s, DEADLINE_MAX_S),
        needs=frozenset({Capability.EMBED}),
    )


def write_embeddings(made: Embeddings, receipt: inference.Receipt) -> inference.EmbedResponse:
    return inference.EmbedResponse(
        embeddings=[inference.Embedding(values=vector) for vector in made.vectors],
        usage=write_usage(Usage(prompt_tokens=made.prompt_tokens)),
        receipt=receipt,
    )
