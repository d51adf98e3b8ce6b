"""A model that an adopted engine has, as the shelf takes it in: a replica beside our own."""

from dataclasses import dataclass, field

from mesh.core.footprint import Shape
from mesh.core.types import Model, Offer, ReplicaState
from node_agent.adopted.openai_engine import OpenAiEngine
from node_agent.library.view import LibraryEntry
from node_agent.memory import Footprint
from node_agent.replica import Loaded, Replica

_NO_SHAPE = Shape(0)  # nobody tells
NO_MEMORY = Footprint(_NO_SHAPE)  # of ours: what it takes is its engine's, and is not free


@dataclass(frozen=True, slots=True)
class Guest:
    """One model of one engine."""

    model: Model
    engine: OpenAiEngine
    off_host: bool


@dataclass(slots=True, eq=False, repr=False)
class AdoptedReplica(Replica):
    """A replica that somebody else's engine serves: never loaded, unloaded or weighed by us.

    It is warm where the engine says that the model is loaded, and otherwise available: a request
    makes the engine load it, as it makes us load ours.
    """

    guest: Guest = field(kw_only=True)
    _seen: tuple[ReplicaState, int, bool] | None = field(default=None, kw_only=True)

    @property
    def state(self) -> ReplicaState:
        loaded = self.guest.engine.told.loaded
        return ReplicaState.WARM if loaded else ReplicaState.AVAILABLE

    @property
    def idle(self) -> bool:
        """Never, to us: it is not ours to take out of memory."""
        return False

    @property
    def held_back(self) -> bool:
        """The engine has said that it takes nothing for the moment."""
        return self.guest.engine.resting

    @property
    def adopted(self) -> bool:
        return True

    @property
    def off_host(self) -> bool:
        """Is its engine elsewhere?"""
        return self.guest.off_host

    @property
    def closed(self) -> bool:
        """It refuses until then."""
        return self.guest.engine.resting

    def offer(self) -> Offer:
        """What coordinators are told: what the engine says, whatever we allow our own."""
        info = self.guest.engine.info
        return Offer(
            self.entry.model,
            info.context_tokens,
            info.capabilities,
            self.guest.engine.name,
            self.off_host,
        )

    def take_over(self, guest: Guest) -> bool:
        """It was looked at anew. Return whether it is other than it was the last time."""
        before = self._seen
        self.guest = guest
        self.entry = _entry(guest.model)
        self.slots = guest.engine.crowd.slots
        self._seen = (self.state, self.slots, self.held_back)
        return self._seen != before


def adopted(guest: Guest, ordinal: int) -> AdoptedReplica:
    """Return the replica of ``guest``."""
    load = Loaded()
    load.succeed(guest.engine)
    context_tokens = guest.engine.info.context_tokens
    return AdoptedReplica(
        entry=_entry(guest.model),
        ordinal=ordinal,
        slots=guest.engine.crowd.slots,
        footprint=NO_MEMORY,
        context_tokens_max=context_tokens,
        context_tokens=context_tokens,
        load=load,
        guest=guest,
    )


def _entry(model: Model) -> LibraryEntry:
    return LibraryEntry(model, files=(), shape=_NO_SHAPE)
