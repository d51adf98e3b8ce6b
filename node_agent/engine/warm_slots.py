"""Saves what the slots hold when an engine ends, and brings it back in the next one.

Only where the owner wants it. At the end every slot is saved, the fullest first, as far as the
folder has room. Afterwards a prompt that begins with what a file holds waits for it: 2,000 tokens
of a 135M model came back in 0.25 s, and took 49 s to be read again (measured, on two cores that
others kept busy). Whatever else is there comes back one by one while nobody asks for anything. A
process that dies saves nothing, and nothing is saved on the way: that would cost every answer.
"""

import ctypes
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

from node_agent.engine.bindings import native
from node_agent.engine.held_prefixes import NOTHING, HeldPrefixes
from node_agent.engine.llama import Llama
from node_agent.engine.prefixes import COPY_TOKENS_MIN, Slot, Slots, shared_tokens
from node_agent.engine.warm_file import Label, Unusable, check_seal, read_label, seal
from node_agent.engine.warm_folder import WarmPlace

# The share of a file's tokens that a prompt must gain to wait for it. A fiftieth would be worth it
# by the measurement above; some machines have faster processors, or slower disks.
GAIN_SHARE_MIN = 0.1


class WarmSlots:
    """The files of one model, and the slots that they come from and go to."""

    def __init__(
        self,
        llama: Llama,
        slots: Slots,
        prefixes: HeldPrefixes,
        place: WarmPlace,
        *,
        complain: Callable[[str], None],
    ) -> None:
        """Look what is there. ``complain`` is told of each file that can't be used, and is gone."""
        self._llama = llama
        self._slots = slots
        self._prefixes = prefixes
        self._folder = place.folder
        self._model_id = place.model_id
        self._complain = complain
        self._waiting: dict[Path, Label] = {}  # the newest first; at most one for each slot
        for path in place.folder.files(place.model_id):
            if len(self._waiting) < len(slots):
                self._look_at(path)

    def restore_for(self, prompt: Sequence[int]) -> None:
        """Bring back the file that spares ``prompt`` the most reading, if it is worth the wait.

        Not while somebody is answered, who would wait as well: for a large model it takes seconds.
        """
        if not self._waiting or any(slot.busy for slot in self._slots):
            return
        path = max(self._waiting, key=lambda each: shared_tokens(self._waiting[each].ids, prompt))
        ids = self._waiting[path].ids
        known = max(shared_tokens(slot.held, prompt) for slot in self._slots)
        gain = shared_tokens(ids, prompt) - known
        if gain >= max(COPY_TOKENS_MIN, GAIN_SHARE_MIN * len(ids)):
            self._restore(path)

    def restore_next(self) -> bool:
        """Bring the next file back; False if there is none, or no slot is empty."""
        path = next(iter(self._waiting), None)
        return path is not None and self._restore(path)

    def save(self) -> None:
        """Save what the slots hold. Whatever fails is not saved, and that is all.

        The fullest comes last: where there is no room for all, the oldest file makes some.
        """
        for slot in sorted(self._slots, key=lambda each: len(each.held)):
            if len(slot.held) >= COPY_TOKENS_MIN:
                with suppress(OSError):
                    self._save(slot)

    def _look_at(self, path: Path) -> None:
        try:
            label = read_label(path)
            if label.slots != len(self._slots):
                return  # a later load may have as many again: that depends on what memory is free
            if not label.fits(self._label()) or not 0 < len(label.ids) <= label.context_tokens:
                raise Unusable("it is of another model, build or context")
            self._waiting[path] = label
        except Unusable as failure:
            self._complain(f"saved state {path.name} is not used: {failure}")
            with suppress(OSError):
                path.unlink(missing_ok=True)

    def _label(self, slot: Slot | None = None) -> Label:
        llama = self._llama
        ids = () if slot is None else tuple(slot.held)
        chain = self._prefixes.chain(slot) if slot is not None else NOTHING
        return Label(
            self._model_id,
            llama.numerics,
            llama.context_tokens,
            len(self._slots),
            ids,
            chain,
        )

    def _restore(self, path: Path) -> bool:
        """Fill an empty slot; False if there is none."""
        slot = next((each for each in self._slots if not each.busy and not each.held), None)
        if slot is None:
            return False
        label = self._waiting.pop(path)
        try:
            with self._folder.taken(path) as taken:
                check_seal(taken)
                if not self._load(taken, slot.index, len(label.ids)):
                    raise Unusable("llama.cpp does not take it")
        except (OSError, Unusable) as failure:
            self._complain(f"saved state {path.name} is not used: {failure}")
            return True
        slot.held[:] = label.ids
        self._prefixes.placed(slot, label.chain, kept=0)
        return True

    def _load(self, path: Path, slot: int, tokens: int) -> bool:
        ids, count = (ctypes.c_int32 * tokens)(), ctypes.c_size_t()
        taken = native.llama_state_seq_load_file(
            self._llama.context, os.fsencode(path), slot, ids, tokens, ctypes.byref(count)
        )
        return self._llama.truncate(slot, tokens if taken else 0) == tokens

    def _save(self, slot: Slot) -> None:
        """Raises OSError: there is no room, or the disk refuses."""
        llama, tokens = self._llama, len(slot.held)
        if llama.truncate(slot.index, tokens) != tokens:
            return  # a sliding window has lost its beginning: nobody could go on from it
        state_bytes = native.llama_state_seq_get_size(llama.context, slot.index)
        ids = (ctypes.c_int32 * tokens)(*slot.held)
        size_bytes = state_bytes + 64 * tokens  # with the ids, twice, and room for the label
        name = blake2b(bytes(ids), digest_size=8).hexdigest()
        with self._folder.written(self._model_id, name, size_bytes) as path:
            written = native.llama_state_seq_save_file(
                llama.context, os.fsencode(path), slot.index, ids, tokens
            )
            if not written:
                raise OSError("llama.cpp could not write it")
            seal(path, self._label(slot))
