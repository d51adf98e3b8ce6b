"""Texts as vectors, in terms that no transport and no engine owns."""

from array import array
from dataclasses import dataclass
from typing import TypeAlias

INPUTS_MAX = 2048  # texts of one request, as OpenAI allows

# Quoted, as the class itself takes no parameter when the program runs.
Vector: TypeAlias = (
    "array[float]"  # 32-bit floats: an eighth of the memory that Python's own would take
)
VECTOR_TYPE = "f"


@dataclass(frozen=True, slots=True)
class Embeddings:
    """What an engine makes of some texts."""

    vectors: tuple[Vector, ...]  # one for each text, of length 1, all of one width
    prompt_tokens: int  # of all texts
