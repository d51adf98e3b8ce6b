"""Who asks: a steady trickle, bursts, people that leave, and programs that reuse a request's id."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from random import Random

from mesh.core import events
from mesh.core.events import Event
from mesh.core.types import AUTO, Policy, Request, RequestKey, Tier
from mesh.sim.chaos.answers import TOKENS_MAX
from mesh.sim.chaos.fate import Fate
from mesh.sim.chaos.judging import TRYING, assessed

PATIENCE_S = (5.0, 30.0, 60.0, 60.0)  # what a request's deadline is drawn from
BURST = 25  # requests at once
RESTARTS_EVERY = 3  # of so many requests one takes an answer that begins anew
RESUMED_MAX = 30  # tokens that a client has from before the coordinator's restart


@dataclass(frozen=True, slots=True)
class Habits:
    """How clients behave. Shares in [0, 1]."""

    requests_per_s: float = 0.3
    burst_every_s: float = 180.0  # on average
    named_share: float = 0.5
    assessed_share: float = 0.4  # of those for auto: they climb a ladder, and are judged on it
    leave_share: float = 0.06
    again_share: float = 0.02  # of ids that are in use
    resumed_share: float = 0.06
    explain_share: float = 0.02
    on_coordinator_host_share: float = 0.1


class Clients:
    """Mutable; every question comes due on the timeline."""

    def __init__(
        self,
        habits: Habits,
        names: Sequence[str],
        fate: Fate,
        *,
        until_s: float,
        in_use: Callable[[RequestKey], bool],
    ) -> None:
        """They ask from now on until ``until_s``."""
        self._habits, self._names, self._until_s = habits, names, until_s
        self._fate, self._rng, self._in_use = fate, fate.rng, in_use
        self._ladders = Random(fate.rng.random())  # noqa: S311 - dice
        self._asked = 0
        self._last: RequestKey | None = None
        if habits.requests_per_s > 0:
            fate.at(fate.rng.expovariate(habits.requests_per_s), self._one_asks)
            fate.at(fate.rng.expovariate(1 / habits.burst_every_s), self._many_ask)

    def _one_asks(self, now_s: float) -> Iterable[Event]:
        if now_s < self._until_s:
            due_s = now_s + self._rng.expovariate(self._habits.requests_per_s)
            self._fate.at(due_s, self._one_asks)
            yield self._asks(now_s)

    def _many_ask(self, now_s: float) -> Iterable[Event]:
        if now_s < self._until_s:
            due_s = now_s + self._rng.expovariate(1 / self._habits.burst_every_s)
            self._fate.at(due_s, self._many_ask)
            yield from [self._asks(now_s) for _ in range(BURST)]

    def _asks(self, now_s: float) -> Event:
        rng, habits = self._rng, self._habits
        self._asked += 1
        key = RequestKey(f"client:{rng.randrange(9)}", f"r{self._asked}")
        if self._last is not None and rng.random() < habits.again_share:
            key = self._last if self._in_use(self._last) else key
        self._last = key
        host = rng.random() < habits.on_coordinator_host_share
        named = rng.random() < habits.named_share
        resumed = rng.random() < habits.resumed_share
        request = Request(
            key=key,
            model=rng.choice(self._names) if named else AUTO,
            tier=Tier.DEVICE if host and rng.random() < 0.5 else Tier.MESH,
            policy=rng.choice((Policy.BALANCED, Policy.BALANCED, Policy.FAST, Policy.FRUGAL)),
            prompt_bytes=rng.randrange(40, 4000),
            max_tokens=rng.choice((40, TOKENS_MAX, TOKENS_MAX)),
            deadline_s=now_s + rng.choice(PATIENCE_S),
            from_coordinator_host=host,
            explain=rng.random() < habits.explain_share,
            resumed_tokens=rng.randrange(1, RESUMED_MAX) if resumed else 0,
            accept_restart=self._asked % RESTARTS_EVERY == 0,
        )
        if not (named or resumed) and self._ladders.random() < habits.assessed_share:
            assessment = assessed(key, self._names)
            request = replace(request, policy=TRYING, assessment=assessment)
        if rng.random() < habits.leave_share:
            left = events.RequestCancelled(key, "the client left")
            self._fate.at(now_s + rng.uniform(0.0, 10.0), lambda _: (left,))
        return events.RequestArrived(request)
