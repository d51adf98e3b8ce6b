"""Which nodes hold the beginning of a prompt, by what their reports say. One index a model."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from mesh.core.blocks import BLOCK_BYTES
from mesh.core.types import NodeId, PrefixHeld

FOUND_MAX = 8  # nodes told of one prompt; further ones hold less of it, and are no better


@dataclass(frozen=True, slots=True)
class Found:
    """How much of a prompt a node need not read again."""

    tokens: int  # by the node's word
    prompt_bytes: int  # that they stand for

    def of(self, prompt_bytes: int, prompt_tokens: float) -> float:
        """Return how many of a prompt's tokens that is: no more than the bytes can be."""
        share = min(1.0, self.prompt_bytes / max(1, prompt_bytes))
        return max(0.0, min(float(self.tokens), share * prompt_tokens))


@dataclass(slots=True)
class PrefixIndex:
    """Bounded by what reports may tell: ``PREFIXES_MAX`` of each replica."""

    _holding: dict[int, dict[NodeId, int]] = field(default_factory=dict)  # hash -> node -> tokens
    _told: dict[NodeId, tuple[PrefixHeld, ...]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._holding)

    def keep(self, node_id: NodeId, prefixes: tuple[PrefixHeld, ...]) -> None:
        """Take note of what a node holds now, instead of what it held."""
        known = self._told.get(node_id, ())
        if prefixes is known:
            return
        for each in known:
            nodes = self._holding.get(each.block_hash)
            if nodes is not None:
                nodes.pop(node_id, None)
                if not nodes:
                    del self._holding[each.block_hash]
        self._told.pop(node_id, None)
        if prefixes:
            self._told[node_id] = prefixes
            for each in prefixes:
                self._holding.setdefault(each.block_hash, {})[node_id] = each.tokens

    def find(self, hashes: Sequence[int]) -> dict[NodeId, Found]:
        """Return who holds a beginning of the prompt with these block hashes, the longest first."""
        found: dict[NodeId, Found] = {}
        for blocks in range(len(hashes), 0, -1):
            for node_id, tokens in self._holding.get(hashes[blocks - 1], {}).items():
                if node_id not in found:
                    found[node_id] = Found(tokens, blocks * BLOCK_BYTES)
                    if len(found) >= FOUND_MAX:
                        return found
        return found
