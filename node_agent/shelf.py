"""The models of this machine, and who may use them.

Rules:

1. ``take`` decides without waiting: what it refuses was never begun, what it grants is held.
2. A model in use is never unloaded. Where such models hold the memory that another one needs, they
   take turns (``node_agent.turns``), and whoever wants it is told that its slots are taken.
3. Whoever watches is told of every change, and decides when to report it.
4. What its owner holds back is held back from others only.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count
from typing import Protocol

from mesh.core.types import ModelId, Offer, Refusal, ReplicaStatus
from mesh.errors import NodeLost
from mesh.settings import NodeSettings
from node_agent.adopted.guest import AdoptedReplica, Guest, adopted
from node_agent.budget import Fits, Later, Verdict
from node_agent.engine.protocol import Engine
from node_agent.engines import process_ids
from node_agent.foresight import Foresight
from node_agent.lending import Lending, Signs
from node_agent.library.view import LibraryEntry, LibraryView
from node_agent.loader import LOOK_AGAIN_S, LoadEngine, Loader
from node_agent.loads_known import LoadsKnown
from node_agent.memory import Footprint, free_memory_bytes, total_memory_bytes
from node_agent.replica import Loaded, Replica
from node_agent.reports import Change
from node_agent.room import Memory
from node_agent.slot import Slot
from node_agent.turns import Turns

log = logging.getLogger("node")


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
        known: what loads took until now.
        cannot_load: why no model can be loaded here at all; "" if they can.
        beside_coordinator: this machine's own programs ask through its coordinator, which knows by
            our reports that the owner is busy, and sends nothing else then.
        free_memory: returns the bytes that are free now.
        total_memory: returns the bytes that the machine has.
        gpus_free: returns what each GPU that the engine can use had free before any model of ours.
    """

    def __init__(  # noqa: PLR0913 - its neighbours, all by name
        self,
        load_engine: LoadEngine,
        settings: NodeSettings,
        *,
        known: LoadsKnown | None = None,
        cannot_load: str = "",
        beside_coordinator: bool = False,
        free_memory: Callable[[], int] = free_memory_bytes,
        total_memory: Callable[[], int] = total_memory_bytes,
        gpus_free: Callable[[], Sequence[int]] = tuple,
    ) -> None:
        self.watchers: set[Watcher] = set()
        self.lending = Lending()
        self.signs = Signs()  # of its machine's owner, at the last look
        self._context_tokens_max = settings.context_tokens_max
        self._slots_max = settings.slots
        self._cannot_load = cannot_load
        self._known = LoadsKnown() if known is None else known
        self._beside_coordinator = beside_coordinator
        # In the library's order, those of adopted engines last.
        self._replicas: dict[ModelId, Replica] = {}
        self._offers: list[tuple[int, Offer]] = []  # as last told
        self._ordinals = count(1)
        self._loader = Loader(
            load_engine,
            settings,
            replicas=self._replicas.values,
            known=self._known,
            changed=self._loading_changed,
            memory=Memory(free_memory, total_memory, gpus_free_bytes=gpus_free),
            prefixes_changed=lambda replica: self._tell(replica, Change.PREFIXES),
        )
        self._turns = Turns()
        self._look: asyncio.TimerHandle | None = None  # at whose turn it is
        self._foresight = Foresight(
            self._loader.verdict, free_memory, self._foreseen, self._loader.renew
        )

    def __repr__(self) -> str:
        return f"<Shelf {list(self._replicas.values())}>"

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Shelf"]:
        """Load and serve while the context is open; no engine is left after it."""
        try:
            async with self._loader.running(), self._foresight.running():
                yield self
        finally:
            self._look_again(None)

    def show(self, view: LibraryView) -> None:
        """Take over what the library holds now."""
        guests = self._guests()
        known = {each: own for each, own in self._replicas.items() if each not in guests}
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
            self._no_longer_waits(replica)
            self._loader.close_if_idle(replica)
        self._foresight.begin(self._replicas.values())
        self._replicas |= guests
        self._tell_inventory()

    def host(self, guests: Sequence[Guest]) -> None:
        """Take over what adopted engines have now; they are beside the library's models."""
        known = self._guests()
        for model_id in known:
            del self._replicas[model_id]
        for guest in guests:
            replica = known.get(guest.model.model_id) or adopted(guest, next(self._ordinals))
            self._replicas[replica.model_id] = replica
            if replica.take_over(guest):
                self._tell(replica)
        self._tell_inventory()

    @property
    def models_offered(self) -> int:
        return len(self._replicas)

    def offers(self) -> list[tuple[int, Offer]]:
        """Every model by its ordinal, in the library's order, adopted engines' last."""
        return [(replica.ordinal, replica.offer()) for replica in self._replicas.values()]

    def statuses(self, only: frozenset[int] | None = None) -> list[tuple[int, ReplicaStatus]]:
        """The status of every replica, or of some, by ordinal; its slots are those lent."""
        return [
            (replica.ordinal, self._status(replica))
            for replica in self._replicas.values()
            if only is None or replica.ordinal in only
        ]

    def engines(self) -> list[Engine]:
        """Every engine that runs."""
        return self._loader.engines()

    def working_processes(self) -> list[int]:
        """The ids of processes whose work is not the owner's: our engines', and those of adopted
        ones that answer us.
        """
        lately = [each.guest.engine for each in self._guests().values()]
        theirs = {pid for engine in lately if engine.lately for pid in engine.processes}
        return [*process_ids(self.engines()), *sorted(theirs)]

    def busy(self, model_id: ModelId) -> bool:
        """Is there no slot of the model to be had now, but later?"""
        replica = self._replicas.get(model_id)
        return replica is not None and replica.full

    def lend(self, lending: Lending) -> None:
        """Lend as much as this from now on. What was taken stays taken."""
        if lending.busy and not self.lending.busy:
            self._turns.clear()  # others' claims; the machine's own programs claim again
            self._look_again(0.0)
        self.lending = lending
        for replica in self._replicas.values():
            self._tell(replica)

    def warm(self, model_id: ModelId) -> Engine | None:
        """Return the engine of a model that is warm, for work that takes no slot.

        It may be closed at any time.
        """
        replica = self._replicas.get(model_id)
        return replica.engine if replica is not None else None

    def take(self, model_id: ModelId, *, own: bool = False) -> Slot | Refusal:
        """Take a slot of a model, and begin to load it if it is not warm.

        Args:
            own: it is for this machine's own programs, to whom everything is open.

        Raises:
            NodeLost: the model is not here, or cannot be loaded.
        """
        replica = self._replicas.get(model_id)
        if replica is None:
            raise NodeLost("this machine no longer has the model", hint="ask again")
        if replica.reason:
            raise NodeLost(f"{replica.name} cannot be served here: {replica.reason}")
        if self.lending.busy and not (own or self._beside_coordinator):
            return self._refuse(replica, Refusal.OWNER_BUSY)
        slots = replica.slots if own else self.lending.slots(replica.slots)
        if replica.slots_taken >= slots or replica.closed:
            return self._refuse(replica, Refusal.BUSY)
        loaded = replica.load
        if loaded is None:
            begun = self._load(replica)
            if isinstance(begun, Refusal):
                return self._refuse(replica, begun)
            loaded = begun
        replica.slots_taken += 1
        replica.used_s = asyncio.get_running_loop().time()
        replica.set_timer(None)
        self._tell(replica, Change.SLOT_TAKEN)
        return Slot(self, replica, loaded)

    def slot_freed(self, replica: Replica) -> None:
        """See ``SlotOwner``."""
        replica.slots_taken -= 1
        self._tell(replica, Change.SLOT_FREED)
        self._loader.rest(replica)

    def engine_died(self, replica: Replica, loaded: Loaded, reason: str) -> None:
        """See ``SlotOwner``. Whether an adopted engine is gone, whoever looks at it will see."""
        if not isinstance(replica, AdoptedReplica):
            self._loader.died(replica, loaded, reason)

    def preload(self, model_id: ModelId) -> None:
        """Load a model that nobody asked for yet; one that failed for good gets another try."""
        replica = self._replicas.get(model_id)
        if replica is not None and replica.load is None and not self._cannot_load:
            self._pardon(replica)
            if isinstance(refusal := self._load(replica), Refusal):
                log.warning("%s is not loaded now: %s", replica.name, refusal)

    def unload(self, model_id: ModelId) -> None:
        """Take a model out of memory, if it is not in use."""
        replica = self._replicas.get(model_id)
        if replica is not None:
            self._loader.close_if_idle(replica)

    def _guests(self) -> dict[ModelId, AdoptedReplica]:
        return {
            model_id: replica
            for model_id, replica in self._replicas.items()
            if isinstance(replica, AdoptedReplica)
        }

    def _status(self, replica: Replica) -> ReplicaStatus:
        status = replica.status()
        return replace(status, slots=self.lending.slots(status.slots))

    def _load(self, replica: Replica) -> Loaded | Refusal:
        """Begin to load a model that is not in memory, if it is its turn."""
        now_s = asyncio.get_running_loop().time()
        verdict = self._loader.verdict(replica)
        first = self._turns.first(now_s)
        its_turn = first is None or first == replica.ordinal
        if isinstance(verdict, Fits) and its_turn:
            self._no_longer_waits(replica)
            return self._loader.begin(replica, verdict)
        if isinstance(verdict, Fits | Later):
            self._turns.want(replica.ordinal, now_s, replica.load_s)
            replica.waits = self._turns.waits(replica.ordinal)
            self._look_again(LOOK_AGAIN_S)
            return Refusal.BUSY
        log.info("%s is not loaded: it needs %s; %s", replica.name, verdict, verdict.hint)
        return Refusal.NO_MEMORY

    def _no_longer_waits(self, replica: Replica) -> None:
        replica.waits = False
        if len(self._turns):
            self._turns.forget(replica.ordinal)
            self._look_again(0.0)  # whoever was in its way no longer is

    def _look_again(self, delay_s: float | None) -> None:
        """See whose turn it is, in a while; never, for None."""
        if self._look is not None:
            self._look.cancel()
        loop = asyncio.get_running_loop()
        self._look = None if delay_s is None else loop.call_later(delay_s, self._take_turns)

    def _take_turns(self) -> None:
        """Let those that wait for memory have it, where it is there by now."""
        by_ordinal = {replica.ordinal: replica for replica in self._replicas.values()}

        def verdict_of(ordinal: int) -> Verdict:
            return self._loader.verdict(by_ordinal[ordinal])

        turn = self._turns.look(asyncio.get_running_loop().time(), verdict_of)
        for replica in by_ordinal.values():
            waits, yields = self._turns.waits(replica.ordinal), replica.ordinal in turn.yields
            if (waits, yields) != (replica.waits, replica.yields):
                replica.waits, replica.yields = waits, yields
                self._tell(replica)
        if turn.load is not None:
            self._load(by_ordinal[turn.load])
        if len(self._turns):
            self._look_again(LOOK_AGAIN_S)

    def _new_replica(self, entry: LibraryEntry) -> Replica:
        context_tokens = min(entry.model.context_tokens, self._context_tokens_max)
        footprint = Footprint.of(entry.shape, entry.model.size_bytes, embeds=entry.embeds)
        known = self._known.of(entry.model.model_id)
        return Replica(
            entry,
            next(self._ordinals),
            self._slots_max,  # offered until it was warm once
            replace(footprint, off=known.off) if known else footprint,
            context_tokens,
            context_tokens,
            reason=self._cannot_load,
            load_s=known.load_s if known else 0.0,
        )

    def _pardon(self, replica: Replica) -> None:
        replica.reason, replica.strikes = "", 0
        replica.set_timer(None)
        self._tell(replica)
        self._loader.rest(replica)

    def _refuse(self, replica: Replica, refusal: Refusal) -> Refusal:
        self._tell(replica, Change.REFUSED)  # whoever asked believed otherwise
        return refusal

    def _tell(self, replica: Replica, change: Change = Change.STATE) -> None:
        if len(self._turns) and change is not Change.REFUSED:
            self._look_again(0.0)
        for watcher in self.watchers:
            watcher.replica_changed(replica.ordinal, change)

    def _foreseen(self, replica: Replica) -> None:
        self._tell_inventory()
        self._tell(replica)

    def _loading_changed(self, replica: Replica) -> None:
        self._tell_inventory()  # an engine that was warm knows better what it can do
        self._tell(replica)

    def _tell_inventory(self) -> None:
        offers = self.offers()
        if offers != self._offers:
            self._offers = offers
            for watcher in self.watchers:
                watcher.inventory_changed()
