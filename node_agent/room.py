"""What the models of this machine hold of its memory, and what that leaves for one more."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from node_agent.budget import Held, Later, Never, Room, Verdict, Wanted, verdict
from node_agent.engine.protocol import Engine
from node_agent.engine.supervisor import EngineProcess
from node_agent.memory import (
    Footprint,
    free_memory_bytes,
    missing_memory_bytes,
    missing_of,
    total_memory_bytes,
)
from node_agent.reckoning import corrected, words
from node_agent.replica import Replica

_WORTH_A_LINE = 0.05  # a change of the correction; the rest is what buffers come to be touched


def _missing(engine: Engine) -> int | None:
    """Measure an engine; None if it has no process of its own."""
    if isinstance(engine, EngineProcess) and engine.pid:
        return missing_memory_bytes(engine.pid)
    return None


@dataclass(frozen=True, slots=True)
class Memory:
    """The looks at the machine; tests play another one."""

    free_bytes: Callable[[], int] = free_memory_bytes
    total_bytes: Callable[[], int] = total_memory_bytes
    missing_bytes: Callable[[Engine], int | None] = _missing
    gpus_free_bytes: Callable[[], Sequence[int]] = tuple  # before any model of ours was there


@dataclass(slots=True)
class MachineRoom:
    """Who holds memory, from the moment it is promised until the process is gone."""

    memory: Memory
    share_max: float  # of the machine's memory
    slots_max: int
    _held: dict[int, Replica] = field(default_factory=dict)  # by ordinal
    _leaving: dict[Engine, int] = field(default_factory=dict)  # bytes that come back with each
    _free_before_bytes: int = 0  # before the load that is under way

    def promise(self, replica: Replica) -> None:
        """It is about to be loaded: until it has left, its memory is nobody else's."""
        replica.footprint = self._with_gpus(replica)
        self._held[replica.ordinal] = replica

    def take_back(self, replica: Replica) -> None:
        """It was not loaded, or its engine is dead."""
        self._held.pop(replica.ordinal, None)

    def leaving(self, replica: Replica, engine: Engine) -> None:
        """Its engine is being closed, which a load awaits."""
        self._leaving[engine] = self._claim(replica)[1]
        self.take_back(replica)

    def left(self, engine: Engine) -> None:
        self._leaving.pop(engine, None)

    def load_begins(self) -> None:
        """Until it has ended, what it took so far must not count twice: it is promised already."""
        self._free_before_bytes = self.memory.free_bytes()

    def load_ended(self) -> None:
        self._free_before_bytes = 0

    def check(self, replica: Replica) -> str:
        """Compare what a warm model took with what was foretold, and correct that from now on.

        Return a line for the owner, "" where there is nothing to say.
        """
        engine = replica.engine
        taken_bytes = self.memory.missing_bytes(engine) if engine is not None else None
        if taken_bytes is None or replica.load is None:
            return ""
        footprint = replica.footprint
        told = footprint.foretold(replica.slots, replica.context_tokens)
        foretold_bytes = missing_of(told)
        off = corrected(
            footprint.off,
            foretold_bytes=foretold_bytes,
            untouched_bytes=told.compute if replica.load.answered else foretold_bytes,
            taken_bytes=taken_bytes,
        )
        replica.footprint = replace(footprint, off=off)
        changed = abs(off - footprint.off) > _WORTH_A_LINE
        off_bytes = int((off - 1.0) * foretold_bytes)
        return words(total_bytes=told.total, off_bytes=off_bytes) if changed else ""

    def held(self, ordinal: int) -> Replica:
        return self._held[ordinal]

    def verdict(self, replica: Replica, *, its_turn: bool = False) -> Verdict:
        """Decide whether ``replica`` may be loaded; one that is loaded, as if it had left.

        Args:
            its_turn: it was promised its memory, before all others that are not loaded yet.
        """
        others = [each for each in self._held.values() if each is not replica]
        if its_turn:
            others = [each for each in others if each.engine is not None]
        claims = {each.ordinal: self._claim(each) for each in others}
        promised_bytes = sum(claim - missing for claim, missing in claims.values())
        free_bytes = max(self.memory.free_bytes(), self._free_before_bytes)
        if replica.engine is not None:
            free_bytes += self._claim(replica)[1]
        room = Room(
            free_bytes + sum(self._leaving.values()) - promised_bytes,
            int(self.share_max * self.memory.total_bytes()),
        )
        wanted = Wanted(self._with_gpus(replica), self.slots_max, replica.context_tokens_max)
        decided = verdict(wanted, _as_held(others, claims), room)
        if isinstance(decided, Never) and not decided.budget and self._in_motion:
            return Later(())  # what is free cannot be told just now
        return decided

    def _with_gpus(self, replica: Replica) -> Footprint:
        """Return its footprint with what GPUs have left, which counts until it was loaded once."""
        free_bytes = sorted(self.memory.gpus_free_bytes(), reverse=True)
        for each in self._held.values():
            taken_bytes = (
                each.footprint.on_gpus_bytes(each.slots, each.context_tokens)
                if free_bytes and each is not replica
                else 0
            )
            for index, free in enumerate(free_bytes):
                free_bytes[index] -= (gone := min(free, taken_bytes))
                taken_bytes -= gone
        return replace(replica.footprint, gpus_free_bytes=tuple(free_bytes))

    @property
    def _in_motion(self) -> bool:
        return bool(self._leaving or self._free_before_bytes)

    def _claim(self, replica: Replica) -> tuple[int, int]:
        """Return the bytes it may call its own, and how many of them are not free any more."""
        promised_bytes = replica.footprint.taken_bytes(replica.slots, replica.context_tokens)
        if replica.engine is None:
            return promised_bytes, 0
        missing_bytes = self.memory.missing_bytes(replica.engine)
        if missing_bytes is None:
            return promised_bytes, promised_bytes
        return max(promised_bytes, missing_bytes), missing_bytes


def _as_held(replicas: Iterable[Replica], claims: dict[int, tuple[int, int]]) -> list[Held]:
    return [
        Held(each.ordinal, claims[each.ordinal][0], not each.idle, each.used_s) for each in replicas
    ]
