"""How much memory a model takes, and how much there is. Pure, but for the looks at the machine."""

import sys
from dataclasses import dataclass, replace

import psutil

from mesh.core.footprint import FLOAT_BYTES, Foretold, Served, Shape, compute_bytes, foretell
from node_agent.cgroup import allowance
from node_agent.engine.chunks import CHUNK_TOKENS_MAX
from node_agent.engine.embedding_limits import BATCH_TEXTS, BATCH_TOKENS, SCORES_BYTES_MAX
from node_agent.engine.gpu_layers import Layers

MARGIN_BYTES = 256 << 20  # left to the machine's owner, whatever we load

# Nobody asks a model that has room for less: a prompt with a tool or two has as many tokens.
CONTEXT_TOKENS_MIN = 2_048


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a model takes, however it is served; see ``mesh/core/footprint.py``."""

    shape: Shape
    embeds: bool = False
    off: float = 1.0  # what its process took at the last load, of what was foretold
    on_gpus: float | None = None  # share of its layers that were there at the last load
    gpus_free_bytes: tuple[int, ...] = ()  # what they have for it, where it was never loaded

    @classmethod
    def of(cls, shape: Shape, size_bytes: int, *, embeds: bool) -> "Footprint":
        """Return that of a file; a header that tells nothing leaves its size to go by."""
        return cls(
            shape if shape.weights_bytes else replace(shape, weights_bytes=size_bytes), embeds
        )

    def foretold(self, slots: int, context_tokens: int) -> Foretold:
        """Return what it takes with so many slots of so many tokens, before any correction."""
        return foretell(
            self.shape, served_by(self.shape, slots, context_tokens, embeds=self.embeds)
        )

    def taken_bytes(self, slots: int, context_tokens: int) -> int:
        """Return how much memory is nobody else's while it is loaded like that."""
        told = self.foretold(slots, context_tokens)
        here = 1.0 - self.share_on_gpus(slots, context_tokens)
        return int(told.weights * here) + int(told.own * self.off)

    def share_on_gpus(self, slots: int, context_tokens: int) -> float:
        """Return which share of its layers is on GPUs: as the last load put them, else foretold."""
        if self.on_gpus is not None:
            return self.on_gpus
        layers = self.layers(slots, context_tokens).fit(self.gpus_free_bytes)
        return self._share(0 if self.embeds else layers)  # one that embeds is the processor's

    def on_gpus_bytes(self, slots: int, context_tokens: int) -> int:
        """Return what it takes of GPUs, served like that."""
        count = round(self.share_on_gpus(slots, context_tokens) * (self.shape.layers + 1))
        return self.layers(slots, context_tokens).taken_bytes(count)

    def layers(self, slots: int, context_tokens: int) -> Layers:
        """Return what decides how many go to a GPU, as ``engine/offload.py`` reads it there."""
        served = Served(slots, context_tokens, True, CHUNK_TOKENS_MAX, max(CHUNK_TOKENS_MAX, slots))
        return Layers(
            self.shape.layers,
            self.shape.weights_bytes,
            slots * context_tokens * self.shape.cache_bytes_per_token,
            compute_bytes(self.shape, served),
        )

    def with_layers(self, on_gpus: int) -> "Footprint":
        """Return it with so many layers on GPUs, the output included: their weights are there."""
        return replace(self, on_gpus=self._share(on_gpus))

    def _share(self, layers: int) -> float:
        return min(1.0, layers / (self.shape.layers + 1))


def contexts(context_tokens: int) -> tuple[int, ...]:
    """Return what a model that could have ``context_tokens`` may be served with, longest first.

    Halves, so that a little more or less free memory seldom changes the answer, down to
    ``CONTEXT_TOKENS_MIN`` or to what the model has if that is less.
    """
    shorter = [context_tokens]
    while shorter[-1] > CONTEXT_TOKENS_MIN:
        shorter.append(max(CONTEXT_TOKENS_MIN, shorter[-1] // 2))
    return tuple(shorter)


def served_by(shape: Shape, slots: int, context_tokens: int, *, embeds: bool) -> Served:
    """Return how an engine of ours serves a model of ``shape`` on a processor.

    One that embeds works all texts in one context, of BATCH_TOKENS at least; an encoder takes a
    text in one piece, and is spared the scores of a long one (``engine/embedder.py``).
    """
    if not embeds:
        return Served(slots, context_tokens)
    context_tokens = max(context_tokens, BATCH_TOKENS)
    piece_tokens = context_tokens if shape.encoder else BATCH_TOKENS
    scores_bytes = FLOAT_BYTES * shape.heads * piece_tokens * context_tokens
    flash = scores_bytes > SCORES_BYTES_MAX
    rows = piece_tokens if shape.encoder else BATCH_TEXTS
    return Served(1, context_tokens, flash, piece_tokens, rows)


def missing_memory_bytes(pid: int) -> int | None:
    """Return what of a process's memory is no longer in ``free_memory_bytes``; None: it is gone.

    Linux counts pages of a file as free however often they are read, and weights are such pages.
    Where ggml lays weights out anew (Q4_0 and others, on CPUs) the process has them twice, and the
    pages of the file are never read again: there, too, this is the part that nobody else can have.
    """
    try:
        memory = psutil.Process(pid).memory_info()
    except psutil.Error:
        return None
    return int(memory.rss) - int(getattr(memory, "shared", 0))  # which Linux alone tells


def missing_of(told: Foretold) -> int:
    """Return what ``missing_memory_bytes`` of a process should come to."""
    return told.own if sys.platform == "linux" else told.resident


def free_memory_bytes() -> int:
    """Return what we can have now without swapping, or being killed for it."""
    free_bytes = int(psutil.virtual_memory().available)
    allowed = allowance()
    return min(free_bytes, allowed.free_bytes) if allowed is not None else free_bytes


def total_memory_bytes() -> int:
    """Return what this machine has, or allows us."""
    total_bytes = int(psutil.virtual_memory().total)
    allowed = allowance()
    return min(total_bytes, allowed.total_bytes) if allowed is not None else total_bytes


def in_words(size_bytes: int) -> str:
    """Return a size as people read it."""
    return f"{size_bytes / 1e9:.1f} GB" if size_bytes >= 1e9 else f"{size_bytes / 1e6:.0f} MB"
