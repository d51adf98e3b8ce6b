"""Waiting for a slot of this machine's own models."""

import asyncio

from mesh.core.types import ModelId, Refusal
from mesh.errors import DeadlineExceeded, MeshError, NodeLost, Overloaded
from node_agent.reports import Change
from node_agent.shelf import Shelf
from node_agent.slot import Slot

WAITING_MAX = 64  # one machine's programs: past this the last would wait for minutes


class Line:
    """Those who wait, first come first served; they share the slots with the mesh's attempts."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._changed = asyncio.Event()
        self._waiting = 0

    async def slot(self, model_ids: list[ModelId], deadline_s: float) -> Slot:
        """Take a slot of the first of ``model_ids`` that has one free, or will have.

        Raises:
            NodeLost: none of them can be served here, or none was named.
            Overloaded: memory is short, or too many wait.
            DeadlineExceeded: no slot was free until then, on the event loop's clock.
        """
        taken = self._take(model_ids)
        if taken is not None:
            return taken
        if self._waiting >= WAITING_MAX:
            raise Overloaded(
                f"this machine is busy and {WAITING_MAX} requests wait for it already",
                hint="try again in a moment",
            )
        self._waiting += 1
        self._shelf.watchers.add(self)
        try:
            async with asyncio.timeout_at(deadline_s):
                while taken is None:
                    await self._changed.wait()  # wakes those who wait in the order they came
                    taken = self._take(model_ids)
        except TimeoutError:
            raise DeadlineExceeded(
                "the time was up while this machine was busy", hint="allow more time"
            ) from None
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._shelf.watchers.discard(self)
        return taken

    def replica_changed(self, ordinal: int, change: Change) -> None:
        """See ``Watcher``."""
        if change not in {Change.SLOT_TAKEN, Change.REFUSED}:  # those that wait cause them, too
            self._changed.set()
            self._changed.clear()

    def inventory_changed(self) -> None:
        """See ``Watcher``."""
        self._changed.set()
        self._changed.clear()

    def _take(self, model_ids: list[ModelId]) -> Slot | None:
        """Take a slot; None: all who could serve are busy.

        Raises:
            NodeLost, Overloaded: none can serve; the reason of the first.
        """
        busy, trouble = False, None
        for model_id in model_ids:
            if self._shelf.busy(model_id):  # a refused take is told to all who watch, us too
                busy = True
                continue
            try:
                slot = self._shelf.take(model_id, own=True)
            except MeshError as failure:
                trouble = trouble or failure
                continue
            if isinstance(slot, Slot):
                return slot
            if slot is not Refusal.NO_MEMORY:  # others hold its memory, and will end
                busy = True
                continue
            trouble = trouble or Overloaded(
                "there is not enough free memory for the model on this machine",
                hint="close a program, or ask for a smaller model",
            )
        if busy:
            return None
        raise trouble or NodeLost("this machine no longer has the model", hint="ask again")
