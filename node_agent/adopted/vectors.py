"""The vectors that an adopted engine makes of texts. Its word: checked, and made of length 1."""

import math
from array import array

from mesh.chat_api.checked import Json, of_type, read_count, read_list, read_object, read_part
from mesh.core.embedding import VECTOR_TYPE, Embeddings, Vector
from mesh.errors import NodeLost

VECTORS_BYTES_MAX = 256 * 1024 * 1024  # 2,048 texts of 4,096 numbers, of 25 characters each


def read_vectors(body: bytes, texts: int) -> Embeddings:
    """Return the vectors of an answer of ``/v1/embeddings`` for so many texts.

    Raises:
        NodeLost: they are not one for each text, not all of one width, or not numbers.
    """
    try:
        told = read_object(body.decode())
    except UnicodeDecodeError:
        raise NodeLost("the upstream sent what is not UTF-8") from None
    listed = [of_type(each, dict, "data") for each in read_list(told, "data")]
    by_index = {read_count(each.get("index", at)): each for at, each in enumerate(listed)}
    if sorted(each for each in by_index if each is not None) != list(range(texts)):
        raise NodeLost("the upstream did not send one vector for each text")
    vectors = tuple(_vector(by_index[at]) for at in range(texts))
    if len({len(each) for each in vectors}) != 1:
        raise NodeLost("the upstream sent vectors of several widths")
    return Embeddings(vectors, read_count(read_part(told, "usage").get("prompt_tokens")) or 0)


def _vector(told: Json) -> Vector:
    numbers = read_list(told, "embedding")
    if not numbers or not all(type(each) in (int, float) for each in numbers):
        raise NodeLost("the upstream sent a vector that is none")
    length = math.sqrt(sum(each * each for each in numbers))
    if not 0 < length < math.inf:
        raise NodeLost("the upstream sent a vector that is none")
    return array(VECTOR_TYPE, (each / length for each in numbers))
