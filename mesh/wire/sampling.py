"""How tokens are drawn, read and checked: each number within its range."""

import math

from mesh.core.generation import Sampling
from mesh.errors import InvalidRequest
from mesh.v1 import inference_pb2 as inference

LOGIT_BIAS_MAX = 1024  # entries; OpenAI allows 300. Each one costs a step of every draw
LOGIT_BIAS_RANGE = (-100.0, 100.0)  # as OpenAI's: beyond it a bias has long forbidden or forced

_RANGES: dict[str, tuple[float, float]] = {
    "temperature": (0, 10),
    "top_k": (0, 2**31 - 1),
    "top_p": (0, 1),
    "min_p": (0, 1),
    "repeat_penalty": (0, 10),
    "presence_penalty": (-2, 2),
    "frequency_penalty": (-2, 2),
}
_MORE_THAN_ZERO = frozenset({"top_p", "repeat_penalty"})


def read_sampling(message: inference.Sampling) -> Sampling:
    """Raises InvalidRequest: a number is out of its range; names it."""
    given = {name: getattr(message, name) for name in _RANGES if message.HasField(name)}
    for name, value in given.items():
        low, high = _RANGES[name]
        above = value > low if name in _MORE_THAN_ZERO else value >= low
        if not (math.isfinite(value) and above and value <= high):
            bracket = "(" if name in _MORE_THAN_ZERO else "["
            raise InvalidRequest(
                f"sampling.{name} is {value:g}; it must be in {bracket}{low:g}, {high:g}]"
            )
    return Sampling(seed=message.seed, logit_bias=_logit_bias(message), **given)


def _logit_bias(message: inference.Sampling) -> tuple[tuple[int, float], ...]:
    """By token id, so that equal requests are drawn alike."""
    if len(message.logit_bias) > LOGIT_BIAS_MAX:
        raise InvalidRequest(
            f"sampling.logit_bias has {len(message.logit_bias)} entries;"
            f" at most {LOGIT_BIAS_MAX} are allowed"
        )
    low, high = LOGIT_BIAS_RANGE
    for token, bias in message.logit_bias.items():
        if token < 0:
            raise InvalidRequest(f"sampling.logit_bias names the token {token}; none is negative")
        if not low <= bias <= high:  # NaN is in no range
            raise InvalidRequest(
                f"sampling.logit_bias of token {token} is {bias:g};"
                f" it must be in [{low:g}, {high:g}]"
            )
    return tuple(sorted(message.logit_bias.items()))
