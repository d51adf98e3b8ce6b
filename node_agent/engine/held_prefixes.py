"""Which beginnings of prompts the slots hold, in the hashes that came with the prompts. Pure.

Hashes are of bytes and slots hold tokens. A block's end is taken to lie where the same share of
the prompt's tokens does, rounded down: a template and mixed languages shift that by some tokens,
and whoever places a request by it is only a little wrong about a time. What is held is exact: a
block counts for as long as the slot holds the tokens up to its end, and no longer.

Prompts that came without hashes, such as those of this machine's own programs, are told to nobody.
"""

import math
from bisect import bisect_right
from dataclasses import dataclass

from mesh.core.blocks import BLOCK_BYTES, canonical_bytes
from mesh.core.generation import Generation
from mesh.core.types import PREFIXES_MAX, PrefixHeld
from node_agent.engine.prefixes import Slot, Slots

TELL_EVERY_S = 0.25  # no finer than the agent's reports of slots that come and go


@dataclass(frozen=True, slots=True)
class Chain:
    """The blocks of one prompt."""

    hashes: tuple[int, ...] = ()
    tokens: tuple[int, ...] = ()  # up to each block's end; rising

    @classmethod
    def of(cls, work: Generation, prompt_tokens: int) -> "Chain":
        """Return the chain of a prompt that came to so many tokens."""
        if not work.block_hashes:
            return NOTHING
        size_bytes = max(canonical_bytes(work.tools, work.messages), BLOCK_BYTES)
        ends = range(BLOCK_BYTES, size_bytes + 1, BLOCK_BYTES)
        tokens = tuple(prompt_tokens * end // size_bytes for end in ends)
        return cls(work.block_hashes[: len(tokens)], tokens[: len(work.block_hashes)])

    def cut(self, tokens: int) -> "Chain":
        """Return what of it lies within the first ``tokens`` of the prompt."""
        blocks = bisect_right(self.tokens, tokens)
        return Chain(self.hashes[:blocks], self.tokens[:blocks])

    def spread(self, most: int) -> list[PrefixHeld]:
        """Return at most so many of its blocks, the last one first, evenly over its length.

        So a conversation that went on finds its end, and one that branched off loses no more than
        a ``most``-th of what it shares.
        """
        count = len(self.hashes)
        shown = min(count, most)
        blocks = [(number + 1) * count // shown - 1 for number in range(shown)]
        return [PrefixHeld(self.hashes[block], self.tokens[block]) for block in reversed(blocks)]


NOTHING = Chain()


class HeldPrefixes:
    """The chains of all slots, and when the agent is to hear of them."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._chains = [NOTHING] * len(slots)
        self._told: tuple[PrefixHeld, ...] = ()
        self._looked_s = -math.inf
        self._settled = True  # nothing has changed since the last look

    def placed(self, slot: Slot, chain: Chain, *, kept: int, source: Slot | None = None) -> None:
        """A prompt begins in ``slot``, which keeps ``kept`` tokens of it, of its own or a copy."""
        before = self._chains[slot.index if source is None else source.index]
        self._chains[slot.index] = chain if chain.hashes else before.cut(kept)
        self._settled = False

    def chain(self, slot: Slot) -> Chain:
        """Return the blocks that ``slot`` holds."""
        return self._chains[slot.index].cut(len(slot.held))

    def held(self) -> tuple[PrefixHeld, ...]:
        """Return the blocks that are held, at most ``PREFIXES_MAX``: last used slots first."""
        slots = sorted(self._slots, key=lambda slot: -slot.used)
        chains = [chain for slot in slots if (chain := self.chain(slot)).hashes]
        found: dict[int, PrefixHeld] = {}
        for number, chain in enumerate(chains):
            share = (PREFIXES_MAX - len(found)) // (len(chains) - number)
            for held in chain.spread(share):
                found.setdefault(held.block_hash, held)
        return tuple(found.values())

    def news(self, now_s: float, *, idle: bool) -> tuple[PrefixHeld, ...] | None:
        """Return what the agent is to be told now; None: nothing, or not yet.

        ``idle``: nobody has a slot, so nothing changes until the next one is placed.
        """
        if self._settled or now_s < self._looked_s + TELL_EVERY_S:
            return None
        self._looked_s, self._settled = now_s, idle
        held = self.held()
        if held == self._told:
            return None
        self._told = held
        return held

    def wait_s(self, now_s: float) -> float | None:
        """Return the seconds until ``news`` may have some; None if only a new prompt can."""
        return None if self._settled else max(0.0, self._looked_s + TELL_EVERY_S - now_s)
