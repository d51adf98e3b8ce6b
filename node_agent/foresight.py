"""Looks now and then at what models that are not in memory would be served with.

Every decision supposes that whoever is idle leaves and whoever is busy ends, so what the shelf's
own models do changes little: other programs do. While free memory stays about what it was, one
number is read every ``LOOK_EVERY_S`` and nothing is decided.

A warm model that memory was short for is looked at as well: where it could have twice the context
for a while, and nobody uses it, it leaves, and the next request loads it with more.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

from node_agent.budget import Fits, Later, Never, Verdict
from node_agent.foreseen import LOOK_EVERY_S, Foreseen, Renewal, Seen
from node_agent.replica import Replica

_SAME = 0.05  # free memory that changed by less decides as it did, or will be looked at again


class Foresight:
    """Keeps each cold replica's context and what it lacks; ``changed`` hears of each change.

    Args:
        verdict_of: decides for one replica.
        free_bytes: looks at the machine's memory.
        renew: lets an idle model leave.
    """

    def __init__(
        self,
        verdict_of: Callable[[Replica], Verdict],
        free_bytes: Callable[[], int],
        changed: Callable[[Replica], None],
        renew: Callable[[Replica], None],
    ) -> None:
        self._verdict_of = verdict_of
        self._free_bytes = free_bytes
        self._changed = changed
        self._renew = renew
        self._renewals: dict[Replica, Renewal] = {}
        self._replicas: tuple[Replica, ...] = ()
        self._foreseen: dict[Replica, Foreseen] = {}
        self._decided_at_bytes = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Look while the context is open."""
        loop = asyncio.get_running_loop()
        timer: asyncio.TimerHandle | None = None

        def look() -> None:
            nonlocal timer
            self.look(loop.time())
            timer = loop.call_later(LOOK_EVERY_S, look)

        timer = loop.call_later(LOOK_EVERY_S, look)
        try:
            yield
        finally:
            timer.cancel()

    def begin(self, replicas: Iterable[Replica]) -> None:
        """These are all that take memory: take in new ones, and forget those that are gone."""
        known, self._foreseen = self._foreseen, {}
        self._replicas = tuple(replicas)
        self._renewals = {each: self._renewals.get(each, Renewal()) for each in self._replicas}
        for replica in self._replicas:
            if replica in known:
                self._foreseen[replica] = known[replica]
            elif replica.load is None and replica.info is None:  # nothing is told of it yet
                told = self._see(replica) or Seen(replica.context_tokens)
                _tell(replica, told)
                self._foreseen[replica] = Foreseen(told)

    def look(self, now_s: float) -> None:
        """See what has changed since the last look."""
        free_bytes, cold = self._free_bytes(), []
        for replica in self._replicas:
            if replica.load is not None:
                self._foreseen.pop(replica, None)  # a load finds out for itself
                self._look_longer(replica, now_s)
            else:
                cold.append(replica)
        calm = all(each in self._foreseen and not self._foreseen[each].wavers for each in cold)
        if calm and abs(free_bytes - self._decided_at_bytes) <= _SAME * free_bytes:
            return
        self._decided_at_bytes = free_bytes
        for replica in cold:
            told = Foreseen(Seen(replica.context_tokens, replica.lacks))
            foreseen = self._foreseen.setdefault(replica, told)
            seen = self._see(replica)
            if seen is None:
                self._decided_at_bytes = 0  # look again, whatever is free then
            elif foreseen.seen(seen, now_s):
                _tell(replica, seen)
                self._changed(replica)

    def _look_longer(self, replica: Replica, now_s: float) -> None:
        """See whether a warm one could have more context."""
        could = 0
        if (
            replica.idle
            and replica.context_tokens < replica.context_tokens_max
            and not any(each.waits for each in self._replicas)
        ):
            match self._verdict_of(replica):
                case Fits((), slots, tokens) if slots >= replica.slots:
                    could = tokens
        if self._renewals[replica].seen(
            has_tokens=replica.context_tokens,
            could_tokens=could,
            used_s=replica.used_s,
            now_s=now_s,
        ):
            replica.context_tokens = could
            self._renew(replica)
            self._changed(replica)

    def _see(self, replica: Replica) -> Seen | None:
        """Return what a load would find now; None if that cannot be told."""
        match self._verdict_of(replica):
            case Fits(context_tokens=tokens) | Later(context_tokens=tokens):
                return Seen(tokens) if tokens else None
            case Never() as never:
                return Seen(replica.context_tokens, f"it needs {never.lasting}; {never.hint}")


def _tell(replica: Replica, seen: Seen) -> None:
    replica.context_tokens, replica.lacks = seen.context_tokens, seen.lacks
