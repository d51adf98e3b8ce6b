"""A place in a model's engine, held by one attempt."""

from typing import Protocol

from mesh.core.generation import Finished
from mesh.core.types import ModelId
from node_agent.engine.protocol import Engine
from node_agent.replica import Loaded, Replica


class SlotOwner(Protocol):
    """Where slots come from, and go back to."""

    def slot_freed(self, replica: Replica) -> None: ...

    def engine_died(self, replica: Replica, loaded: Loaded, reason: str) -> None: ...


class Slot:
    """Taken from a shelf. Whoever holds it calls ``free``, once or more, however things end."""

    __slots__ = ("_batch", "_held", "_loaded", "_owner", "_replica")

    def __init__(self, owner: SlotOwner, replica: Replica, loaded: Loaded) -> None:
        self._owner = owner
        self._replica = replica
        self._loaded = loaded
        self._held = True
        self._batch = max(1, replica.slots_taken)  # answers under way now, its own among them

    @property
    def model_id(self) -> ModelId:
        return self._replica.model_id

    @property
    def adopted(self) -> bool:
        """Is it of somebody else's engine, which may be busy for others?"""
        return self._replica.adopted

    @property
    def off_host(self) -> bool:
        """Would a prompt leave this machine by it?"""
        return self._replica.off_host

    async def engine(self) -> Engine:
        """Return the model's engine once it is warm.

        Raises:
            NodeLost: the model could not be loaded.
            Overloaded: there is not enough memory for it now.
        """
        return self._loaded.engine or await self._loaded.wait()

    def answered(self) -> None:
        """A token or a vector came: this model works here."""
        self._loaded.answered = True
        self._replica.strikes = 0

    def learn(self, finished: Finished) -> None:
        """Measure by a whole answer, given beside as many as run at its ends, on average."""
        batch = (self._batch + max(1, self._replica.slots_taken)) / 2
        self._replica.rates.learn(finished, batch)

    def lost(self, reason: str) -> None:
        """The engine told us that it died: know it before the next request comes."""
        self._owner.engine_died(self._replica, self._loaded, reason)

    def free(self) -> None:
        """Give the slot back."""
        if self._held:
            self._held = False
            self._owner.slot_freed(self._replica)
