"""Vectors in frames: base64 of their floats, a third of what decimals take, and exact."""

import base64
import binascii
import math
from array import array

from mesh.core.embedding import VECTOR_TYPE, Vector
from node_agent.engine.frames import FrameError

# The widest models have 8,192 numbers a vector.
WIDTH_MAX = 16_384
_FLOAT_BYTES = 4
_CHARACTERS_MAX = 4 * ((_FLOAT_BYTES * WIDTH_MAX + 2) // 3)


def encode_vector(vector: Vector) -> str:
    """Both ends of a frame are one machine, so its order of bytes is that of the floats."""
    return base64.b64encode(vector.tobytes()).decode()


def decode_vector(text: str) -> Vector:
    """Raises FrameError: it is none, is too wide, or holds something else than finite numbers."""
    if len(text) > _CHARACTERS_MAX:
        raise FrameError("a vector is wider than any model's")
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise FrameError("a vector is not base64") from None
    if not data or len(data) % _FLOAT_BYTES:
        raise FrameError("a vector is empty, or cut off")
    vector: Vector = array(VECTOR_TYPE)
    vector.frombytes(data)
    if not all(map(math.isfinite, vector)):
        raise FrameError("a vector holds something else than numbers")
    return vector
