"""The models of this machine, and who may use them.

Rules:

1. ``take`` decides without waiting: what it refuses was never begun, what it grants is held.
2. A model in use is never unloaded.
3. Whoever watches is told of every change, and decides when to report it.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Protocol

from mesh.core.types import ModelId, Offer, Refusal, ReplicaStatus
from mesh.errors import NodeLost
from mesh.settings import NodeSettings
from node_agent.engine.protocol import Engine
from node_agent.library.view import LibraryEntry, LibraryView
from node_agent.loader import LoadEngine, Loader
from node_agent.memory import Footprint, free_memory_bytes
from node_agent.replica import Loaded, Replica
from node_agent.reports import Change
from node_agent.slot import Slot


class Watcher(Protocol):
    """Whoever must hear of changes."""

    def replica_changed(self, ordinal: int, change: Change) -> None:
        """Its status is another one, or somebody thought so."""
        ...

    def inventory_changed(self) -> None:
        """The offers are others than before."""
        ...


class Shelf:
    """All replicas of this machine.

    Args:
        load_engine: makes the engine of a model, or raises LoadFailed.
        settings: what the owner lends.
        cannot_load: why no model can be loaded here at all; "" if they can.
        free_memory: returns the bytes that are free now.
    """

    def __init__(
        self,
        load_engine: LoadEngine,
        settings: NodeSettings,
        *,
        cannot_load: str = "",
        free_memory: Callable[[], int] = free_memory_bytes,
    ) -> None:
        self.watchers: set[Watcher] = set()
        self._context_tokens_max = settings.context_tokens_max
        self._slots_max = settings.slots
        self._cannot_load = cannot_load
        self._replicas: dict[ModelId, Replica] = {}  # in the library's order
        self._offers: list[tuple[int, Offer]] = []  # as last told
        self._ordinals = count(1)
        self._loader = Loader(
            load_engine,
            settings,
            replicas=self._replicas.values,
            changed=self._loading_changed,
            free_memory=free_memory,
        )

    def __repr__(self) -> str:
        return f"<Shelf {list(self._replicas.values())}>"

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Shelf"]:
        """Load and serve while the context is open; no engine is left after it."""
        async with self._loader.running():
            yield self

    def show(self, view: LibraryView) -> None:
        """Take over what the library holds now."""
        known = dict(self._replicas)
        self._replicas.clear()
        for entry in view.entries:
            replica = known.pop(entry.model.model_id, None) or self._new_replica(entry)
            self._replicas[replica.model_id] = replica
            if replica.entry.files != entry.files and not self._cannot_load:
                self._pardon(replica)  # another file, another try
            replica.entry = entry
        for replica in known.values():
            replica.gone = True
            replica.set_timer(None)
            self._loader.close_if_idle(replica)
        self._tell_inventory()

    def offers(self) -> list[tuple[int, Offer]]:
        """Every model by its ordinal, in the library's order."""
        return [
            (replica.ordinal, replica.offer(self._context_tokens_max))
            for replica in self._replicas.values()
        ]

    def statuses(self, only: frozenset[int] | None = None) -> list[tuple[int, ReplicaStatus]]:
        """The status of every replica, or of some, by ordinal."""
        return [
            (replica.ordinal, replica.status())
            for replica in self._replicas.values()
            if only is None or replica.ordinal in only
        ]

    def engines(self) -> list[Engine]:
        """Every engine that runs."""
        return self._loader.engines()

    def busy(self, model_id: ModelId) -> bool:
        """Is every slot of the model taken?"""
        replica = self._replicas.get(model_id)
        return replica is not None and replica.slots_taken >= replica.slots

    def warm(self, model_id: ModelId) -> Engine | None:
        """Return the engine of a model that is warm, for work that takes no slot.

        It may be closed at any time.
        """
        replica = self._replicas.get(model_id)
        return replica.engine if replica is not None else None

    def take(self, model_id: ModelId) -> Slot | Refusal:
        """Take a slot of a model, and begin to load it if it is not warm.

        Raises:
            NodeLost: the model is not here, or cannot be loaded.
        """
        replica = self._replicas.get(model_id)
        if replica is None:
            raise NodeLost("this machine no longer has the model", hint="ask again")
        if replica.reason:
            raise NodeLost(f"{replica.name} cannot be served here: {replica.reason}")
        if replica.slots_taken >= replica.slots:
            return self._refuse(replica, Refusal.BUSY)
        loaded = replica.load
        if loaded is None:
            if not self._loader.could_fit(replica):
                return self._refuse(replica, Refusal.NO_MEMORY)
            loaded = self._loader.begin(replica)
        replica.slots_taken += 1
        replica.set_timer(None)
        self._tell(replica, Change.SLOT_TAKEN)
        return Slot(self, replica, loaded)

    def slot_freed(self, replica: Replica) -> None:
        """See ``SlotOwner``."""
        replica.slots_taken -= 1
        self._tell(replica, Change.SLOT_FREED)
        self._loader.rest(replica)

    def engine_died(self, replica: Replica, loaded: Loaded, reason: str) -> None:
        """See ``SlotOwner``."""
        self._loader.died(replica, loaded, reason)

    def preload(self, model_id: ModelId) -> None:
        """Load a model that nobody asked for yet; one that failed for good gets another try."""
        replica = self._replicas.get(model_id)
        if replica is not None and replica.load is None and not self._cannot_load:
            self._pardon(replica)
            self._loader.begin(replica)

    def unload(self, model_id: ModelId) -> None:
        """Take a model out of memory, if it is not in use."""
        replica = self._replicas.get(model_id)
        if replica is not None:
            self._loader.close_if_idle(replica)

    def _new_replica(self, entry: LibraryEntry) -> Replica:
        slots = self._slots_max  # offered until it was warm once
        footprint = self._footprint(entry)
        ordinal = next(self._ordinals)
        return Replica(entry, ordinal, slots, footprint, reason=self._cannot_load)

    def _footprint(self, entry: LibraryEntry) -> Footprint:
        context_tokens = min(entry.model.context_tokens, self._context_tokens_max)
        context_bytes = context_tokens * entry.cache_bytes_per_token
        if entry.embeds:  # its slots take turns in one context
            return Footprint(entry.model.size_bytes + context_bytes, 0)
        return Footprint(entry.model.size_bytes, context_bytes)

    def _pardon(self, replica: Replica) -> None:
        replica.reason, replica.strikes = "", 0
        replica.set_timer(None)
        self._tell(replica)
        self._loader.rest(replica)

    def _refuse(self, replica: Replica, refusal: Refusal) -> Refusal:
        self._tell(replica, Change.REFUSED)  # whoever asked believed otherwise
        return refusal

    def _tell(self, replica: Replica, change: Change = Change.STATE) -> None:
        for watcher in self.watchers:
            watcher.replica_changed(replica.ordinal, change)

    def _loading_changed(self, replica: Replica) -> None:
        self._tell_inventory()  # an engine that was warm knows better what it can do
        self._tell(replica)

    def _tell_inventory(self) -> None:
        offers = self.offers()
        if offers != self._offers:
            self._offers = offers
            for watcher in self.watchers:
                watcher.inventory_changed()
