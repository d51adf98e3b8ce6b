"""One model on this machine: whether it is warm, who holds its slots, how fast it is.

States, as coordinators see them::

    available --take--> loading --> warm --idle, or making room--> available
                           |          +----its engine died-------> available
                           +--fails--> failed --after a while--> available
                                          +-- for good, after STRIKES_MAX in a row
    available <--memory comes and goes, slowly--> failed

A strike is a load that failed, or an engine that died before it gave a single token. The first
token wipes them all out: a model that can answer is not broken, whatever kills it later.
"""

import asyncio
from dataclasses import dataclass, field

from mesh.core.types import ModelId, Offer, PrefixHeld, ReplicaState, ReplicaStatus
from mesh.errors import MeshError
from node_agent.engine.capabilities import CAPABILITIES, EMBEDDER_CAPABILITIES
from node_agent.engine.protocol import Engine, EngineInfo, HoldsPrefixes
from node_agent.library.view import LibraryEntry
from node_agent.memory import Footprint
from node_agent.rates import Rates

# Waits between tries, in seconds: what passes by itself (memory, a busy disk) has passed by then,
# and three tries of a large model cost a minute once, not a machine that loads all day.
RETRY_AFTER_S = (2.0, 10.0)
STRIKES_MAX = len(RETRY_AFTER_S) + 1


class Loaded:
    """One load of a model: shared by all who wait for it, and by all who use what came of it."""

    __slots__ = ("_done", "_engine", "_failure", "answered", "progress")

    def __init__(self) -> None:
        self.answered = False  # has it given a token yet?
        self.progress = 0.0  # of the load, from 0 to 1
        self._done = asyncio.Event()
        self._engine: Engine | None = None
        self._failure: MeshError | None = None

    @property
    def engine(self) -> Engine | None:
        """The engine, None until it is warm."""
        return self._engine

    def succeed(self, engine: Engine) -> None:
        self._engine = engine
        self._done.set()

    def fail(self, failure: MeshError) -> None:
        self._failure = failure
        self._done.set()

    async def wait(self) -> Engine:
        """Return the engine once it is warm.

        Raises:
            MeshError: the load failed.
        """
        await self._done.wait()
        if self._engine is None:
            assert self._failure is not None, "a load ends by succeed or by fail"
            raise self._failure
        return self._engine


@dataclass(slots=True, eq=False)
class Replica:
    """Mutable; only the shelf changes it."""

    entry: LibraryEntry
    ordinal: int  # stands for the model in reports
    slots: int  # of the engine; a guess until it was warm once
    footprint: Footprint
    context_tokens_max: int  # of a slot, where memory is no matter
    context_tokens: int  # that one has, or would have as memory is now
    load: Loaded | None = None  # None: only on disk
    reason: str = ""  # why it cannot be served now; "" if it can
    lacks: str = ""  # memory, and how much; "" while it would fit
    strikes: int = 0
    slots_taken: int = 0
    used_s: float = 0.0  # when it was last in use, on the event loop's clock
    waits: bool = False  # for memory that busy models hold
    yields: bool = False  # takes nothing new, so that another one gets its memory
    gone: bool = False  # its file is no longer here
    info: EngineInfo | None = None  # of the last engine that was warm
    load_s: float = 0.0  # of the last load, 0.0 if unknown
    rates: Rates = field(default_factory=Rates.unknown)
    timer: asyncio.TimerHandle | None = None  # ends a cooling, or an idle time

    @property
    def model_id(self) -> ModelId:
        return self.entry.model.model_id

    @property
    def name(self) -> str:
        return self.entry.model.name

    @property
    def engine(self) -> Engine | None:
        return self.load.engine if self.load else None

    @property
    def state(self) -> ReplicaState:
        if self.reason or (self.lacks and self.load is None):
            return ReplicaState.FAILED
        if self.load is None:
            return ReplicaState.AVAILABLE
        return ReplicaState.WARM if self.load.engine else ReplicaState.LOADING

    @property
    def idle(self) -> bool:
        """Warm, and in nobody's use."""
        return self.engine is not None and not self.slots_taken

    @property
    def held_back(self) -> bool:
        """Is it kept from work for the sake of memory?"""
        return self.waits or self.yields

    @property
    def adopted(self) -> bool:
        """Does somebody else's engine serve it?"""
        return False

    @property
    def off_host(self) -> bool:
        """Would a prompt leave this machine by it?"""
        return False

    @property
    def closed(self) -> bool:
        """Does it begin nothing now, whatever slots are free?"""
        return self.yields

    @property
    def full(self) -> bool:
        """Is nothing to be had of it now, but later?"""
        return self.held_back or self.slots_taken >= self.slots

    @property
    def prefixes(self) -> tuple[PrefixHeld, ...]:
        """What its slots hold of earlier prompts, as far as its engine tells."""
        engine = self.engine
        return engine.prefixes if isinstance(engine, HoldsPrefixes) else ()

    def status(self) -> ReplicaStatus:
        """What coordinators are told.

        While it is held back, all of its slots count as taken by others, on top of those that are
        in use: a coordinator whose own answer ends would give the slot away at once otherwise.
        """
        return ReplicaStatus(
            state=self.state,
            slots=self.slots,
            slots_taken=self.slots_taken + (self.slots if self.held_back else 0),
            prefill_tokens_per_s=self.rates.prefill.tokens_per_s,
            decode_tokens_per_s=self.rates.decode.tokens_per_s,
            load_s=self.load_s,
            reason=self.reason or (self.lacks if self.load is None else ""),
            numerics=self.info.numerics if self.info else "",
            load_progress=self.load.progress if self.load and not self.load.engine else 0.0,
            prefixes=self.prefixes,
            decode_rates_by_batch=self.rates.decode_by_batch,
        )

    def offer(self) -> Offer:
        """What coordinators are told: facts where an engine is warm, else what is expected."""
        if self.info is not None:
            capabilities = self.info.capabilities
        else:
            capabilities = EMBEDDER_CAPABILITIES if self.entry.embeds else CAPABILITIES
        return Offer(self.entry.model, self.context_tokens, capabilities)

    def set_timer(self, timer: asyncio.TimerHandle | None) -> None:
        """Replace whatever timer was running."""
        if self.timer is not None:
            self.timer.cancel()
        self.timer = timer

    def __repr__(self) -> str:
        return f"<Replica {self.name} {self.state} {self.slots_taken}/{self.slots}>"
