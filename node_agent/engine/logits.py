"""The logits of a step, as an array on llama.cpp's own memory.

Imported only in the engine process, and only once a request needs it: numpy costs an engine 12 MB
and its first such answer 70 ms (measured).
"""

from typing import TYPE_CHECKING

import numpy as np

from node_agent.engine.bindings import native

if TYPE_CHECKING:
    from node_agent.engine.llama import Llama

Logits = np.ndarray[tuple[int], np.dtype[np.float32]]


def broken(logits: Logits) -> bool:
    """Whether nothing can be drawn: a NaN, or infinities only. One -inf forbids its token."""
    return bool(np.isnan(logits).any()) or not np.isfinite(logits.max())


def logits_of(llama: "Llama", row: int) -> Logits:
    """Return the logits in ``row`` of the last batch; shape (tokens of the vocabulary,).

    They are the model's own: llama.cpp's samplers penalise and filter a copy of them. What is
    written here is what they read.
    """
    pointer = native.llama_get_logits_ith(llama.context, row)
    return np.ctypeslib.as_array(pointer, (llama.vocabulary_size,))
