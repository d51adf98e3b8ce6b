"""Log-probabilities in a frame: objects of numbers, and of bytes as characters of equal numbers.

Bytes, because a token may be half a character, and JSON has none: "\\xc3" travels as "Ã".
"""

from collections.abc import Iterable

from mesh.core.generation import LOGPROBS_MAX, Alternative, TokenLogprob
from node_agent.engine.fields import Fields
from node_agent.engine.frames import FrameError


def encode_logprob(told: TokenLogprob | Alternative) -> dict[str, object]:
    fields = {"id": told.id, "logprob": told.logprob, "text": told.text.decode("latin-1")}
    if isinstance(told, Alternative):
        return fields
    return {**fields, "alternatives": [encode_logprob(each) for each in told.alternatives]}


def decode_logprobs(told: Iterable[Fields]) -> tuple[TokenLogprob, ...]:
    """Return what an engine told of some tokens.

    Raises:
        FrameError: a number is none, a token too long, or there are too many alternatives.
    """
    return tuple(
        TokenLogprob(
            each.count("id"),
            each.logprob("logprob"),
            each.token_bytes("text"),
            _decode_alternatives(each.inners("alternatives")),
        )
        for each in told
    )


def _decode_alternatives(told: list[Fields]) -> tuple[Alternative, ...]:
    if len(told) > LOGPROBS_MAX:
        raise FrameError("a token has more alternatives than anyone may ask for")
    return tuple(
        Alternative(each.count("id"), each.logprob("logprob"), each.token_bytes("text"))
        for each in told
    )
