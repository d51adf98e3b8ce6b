"""A training step's conversations as arrays, padded to those of about the same length."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy
from numpy.typing import NDArray

from models.corpus import Conversation

# Conversations are padded to the longest of their group: a short one doesn't pay for counting.
_GROUP_LIMITS_TOKENS = (48, 80, 112, 176, 320, 10**9)
# A compiler of dynamic shapes makes a kernel of its own for one row, and slower ones for odd
# lengths; see https://docs.pytorch.org/docs/stable/torch.compiler_dynamic_shapes.html
_ROWS_MIN = 2
_LENGTH_MULTIPLE_TOKENS = 8


class Group(NamedTuple):
    """Conversations of about one length.

    ids: (rows, tokens), padded with zeros at the end.
    places: (learned,) indices into the flattened ``ids``, of the tokens before the learned ones.
    targets: (learned,) the tokens that are to follow there.
    weights: (learned,) what each counts for in the step's loss; they sum to 1 over its groups.
    """

    ids: NDArray[numpy.int16]
    places: NDArray[numpy.int64]
    targets: NDArray[numpy.int64]
    weights: NDArray[numpy.float32]


def groups(drawn: Sequence[Conversation]) -> list[Group]:
    """Return the conversations grouped by length.

    A conversation weighs as the square root of its learned tokens: by the token, counting to 99
    would drown the one-word answers; by the conversation, where to stop counting would be lost.
    """
    weight_total = sum(sum(one.learned) ** 0.5 for one in drawn)
    shorter, made = 0, []
    for limit in _GROUP_LIMITS_TOKENS:
        group = [one for one in drawn if shorter < len(one.ids) <= limit]
        shorter = limit
        if group:
            made.append(_group(group, weight_total))
    return made


def _group(drawn: Sequence[Conversation], weight_total: float) -> Group:
    # The last token is never read, for nothing follows it; rounding up may leave it room.
    longest = max(len(one.ids) for one in drawn) - 1
    length = -(-longest // _LENGTH_MULTIPLE_TOKENS) * _LENGTH_MULTIPLE_TOKENS
    ids = numpy.zeros((max(len(drawn), _ROWS_MIN), length), dtype=numpy.int16)
    places, targets, weights = [], [], []
    for row, one in enumerate(drawn):
        ids[row, : len(one.ids) - 1] = one.ids[:-1]
        learned = numpy.flatnonzero(one.learned)
        places.append(row * length + learned - 1)
        targets.append(numpy.asarray(one.ids)[learned])
        weights.append(numpy.full(len(learned), len(learned) ** -0.5 / weight_total))
    return Group(
        ids=ids,
        places=numpy.concatenate(places),
        targets=numpy.concatenate(targets),
        weights=numpy.concatenate(weights).astype(numpy.float32),
    )
