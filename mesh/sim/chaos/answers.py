"""The one true answer to each request, so that a client can tell a wrong token from a right one.

The token at a place of an answer is a number that no other place, request or model has. A run of
them is a ``range``, and two runs are compared at once.
"""

from dataclasses import dataclass
from zlib import crc32

from mesh.core.types import ModelId, Request, RequestKey

TOKENS_MIN, TOKENS_MAX = 12, 140
_APART = 1 << 20  # answers are shorter, so the tokens of two never meet


@dataclass(frozen=True, slots=True)
class Tokens:
    """The payload of a batch of tokens."""

    ids: range
    wall_s: float  # by the clock of the node, which may be wrong: nobody may look at it


def true_tokens(key: RequestKey, model_id: ModelId, offset: int, count: int) -> range:
    """What ``model_id`` answers from token ``offset`` on."""
    first = _number(key, model_id) * _APART + offset
    return range(first, first + count)


def true_length(request: Request, model_id: ModelId) -> int:
    """How many tokens the whole answer has."""
    drawn = TOKENS_MIN + _number(request.key, model_id) % (TOKENS_MAX - TOKENS_MIN)
    return max(request.resumed_tokens, min(drawn, request.max_tokens))


def _number(key: RequestKey, model_id: ModelId) -> int:
    return crc32(f"{key.principal}/{key.request_id}/{model_id}".encode())
