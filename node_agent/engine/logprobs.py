"""Exact log-probabilities, by a softmax of all that a model's last layer gave.

A token costs 0.4 ms for 152,000 words, and 0.1 ms for 260 (measured).
"""

import math
from collections.abc import Callable

import numpy as np

from mesh.core.generation import LOGPROB_MIN, TOKEN_BYTES_MAX, Alternative, TokenLogprob
from node_agent.engine.llama import Llama
from node_agent.engine.logits import Logits, logits_of


def token_logprob(llama: Llama, row: int, token: int, alternatives: int) -> TokenLogprob:
    """Return how likely ``token`` was by the logits in ``row`` of the last batch."""
    return logprob_of(logits_of(llama, row), token, alternatives, llama.piece)


def logprob_of(
    logits: Logits, token: int, alternatives: int, piece: Callable[[int], bytes]
) -> TokenLogprob:
    """Return how likely ``token`` is by a softmax of ``logits``, and the likeliest tokens.

    Args:
        logits: shape (tokens of the vocabulary,). One that is -inf is a token that the model
            forbids; where one is NaN or inf, the model is broken and nothing is likely.
        alternatives: how many of the likeliest to tell; equal ones by their ids.
        piece: the bytes of a token.
    """
    with np.errstate(invalid="ignore", over="ignore"):  # inf - inf; and a difference may be -inf
        most = logits.max()
        total = math.log(np.exp(logits - most).sum(dtype=np.float64)) + float(most)

    def logprob(id_: int) -> float:
        value = float(logits[id_]) - total
        return min(0.0, max(LOGPROB_MIN, value)) if math.isfinite(value) else LOGPROB_MIN

    def text(id_: int) -> bytes:
        return piece(id_)[:TOKEN_BYTES_MAX]

    likeliest = _likeliest(logits, alternatives)
    told = tuple(Alternative(id_, logprob(id_), text(id_)) for id_ in likeliest)
    return TokenLogprob(token, logprob(token), text(token), told)


def _likeliest(logits: Logits, count: int) -> list[int]:
    """Return the ids of the ``count`` highest logits, highest first."""
    count = min(count, len(logits))
    if count == 0:
        return []
    least = np.partition(logits, -count)[-count]  # without sorting the other 150,000
    ids = np.flatnonzero(logits >= least)  # rising, and more than ``count`` where some are equal
    ranked: list[int] = ids[np.argsort(-logits[ids], kind="stable")][:count].tolist()
    return ranked
