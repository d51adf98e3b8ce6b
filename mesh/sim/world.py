"""A played world around a real ``Fleet``: feed it time and actions, and it makes events.

``World`` is the outside of the fleet: ``happen(now_s)`` yields what happened by then, and
``carry_out(action)`` is how it hears what was decided. ``play`` ties it to a fleet directly; a
``FleetLoop`` may stand between, as in a coordinator.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from math import exp, inf
from random import Random

from mesh.core import actions, events
from mesh.core.actions import Action
from mesh.core.events import Event
from mesh.core.fleet import Fleet
from mesh.core.types import (
    AUTO,
    CLOUD,
    CLOUD_NODE,
    AttemptId,
    Failure,
    FailureCode,
    NodeId,
    Policy,
    Request,
    RequestKey,
    Tier,
    Usage,
)
from mesh.sim.machine_life import CONNECTIONS_MAX, MachineLife
from mesh.sim.profiles import Desk, Held
from mesh.sim.timeline import Timeline

ATTACH_WITHIN_S = 2.0  # all machines come at once, as after a coordinator's restart
CLOUD_FIRST_TOKEN_S, CLOUD_TOKENS_PER_S = 0.6, 70.0


@dataclass(frozen=True, slots=True)
class Traffic:
    """What is asked. Shares in [0, 1]."""

    requests_per_s: float
    progress_every_s: float = 0.25  # of an answer's tokens; the real relay's is shorter
    named_share: float = 0.3  # asks for one model, not for "auto"
    cloud_share: float = 0.15  # may be answered in the cloud
    cloud_named_share: float = 0.0  # asks for it
    device_share: float = 0.0  # is asked on the coordinator's host, and may not leave it
    leave_share: float = 0.03  # of clients that do not wait for the end


class World:
    """Machines and askers. The same seed and the same actions make the same events."""

    def __init__(
        self,
        desks: Sequence[Desk],
        traffic: Traffic,
        rng: Random,
        *,
        misfortune: float = 1.0,
        cost_microusd: Callable[[Usage], int] = lambda _: 0,
    ) -> None:
        """``cost_microusd`` is what the cloud takes for an answer."""
        self._timeline = Timeline()
        self._traffic = traffic
        self._rng = rng
        self._now_s = 0.0
        self._cost_microusd = cost_microusd
        self._asked = 0
        self._requests: dict[RequestKey, Request] = {}
        self._names = [each.offer.model.name for desk in desks for each in desk.held]
        self._lives = {
            desk.node_id: MachineLife(desk, self._timeline, rng, misfortune) for desk in desks
        }
        self._by_number = {life.number: life for life in self._lives.values()}
        self._attempts: dict[AttemptId, NodeId] = {}
        for life in self._lives.values():
            self._timeline.at(rng.random() * ATTACH_WITHIN_S, life.attach)
        if traffic.requests_per_s > 0:
            self._timeline.at(ATTACH_WITHIN_S, self._ask)

    @property
    def next_due_s(self) -> float | None:
        return self._timeline.next_due_s

    def happen(self, now_s: float) -> Iterable[Event]:
        """Yield what happened by ``now_s``; carry out what the fleet decides between events."""
        self._now_s = now_s
        return self._timeline.pop_due(now_s)

    def request(self, key: RequestKey) -> Request:
        """Return what was asked under ``key``, until its request has ended."""
        return self._requests[key]

    def carry_out(self, action: Action) -> None:
        match action:
            case actions.AdmitNode():
                self._lives[action.node_id].admitted(action, self._now_s)
            case actions.CloseConnection():
                self._life(action.connection_id).closed(action, self._now_s)
            case actions.StartAttempt():
                self._start(action)
            case actions.StartCloudAttempt():
                self._start_in_cloud(action)
            case actions.CancelAttempt() | actions.StopCloudAttempt() | actions.EndDelivery():
                self._stop(action.attempt_id)
            case actions.FinishRequest() | actions.FailRequest():
                self._requests.pop(action.key, None)

    # -- who asks ----------------------------------------------------------------------------------

    def _ask(self, now_s: float) -> Iterable[Event]:
        rng, traffic = self._rng, self._traffic
        self._timeline.at(now_s + rng.expovariate(traffic.requests_per_s), self._ask)
        self._asked += 1
        model, tier = self._wanted()
        request = Request(
            key=RequestKey(f"client:{rng.randrange(40)}", f"r{self._asked}"),
            model=model,
            tier=tier,
            policy=rng.choice((Policy.BALANCED, Policy.BALANCED, Policy.FAST, Policy.FRUGAL)),
            prompt_bytes=int(exp(rng.gauss(6.5, 1.2))),
            max_tokens=rng.choice((128, 256, 512)),
            deadline_s=inf,
            from_coordinator_host=tier is Tier.DEVICE,
        )
        self._requests[request.key] = request
        if rng.random() < traffic.leave_share:
            left = events.RequestCancelled(request.key, "the client left")
            self._timeline.at(now_s + rng.uniform(0.5, 5), lambda _: (left,))
        yield events.RequestArrived(request)

    def _wanted(self) -> tuple[str, Tier]:
        """Draw which model is asked for, and how far the prompt may travel."""
        rng, traffic = self._rng, self._traffic
        drawn = rng.random()
        if drawn < traffic.cloud_named_share:
            return CLOUD, Tier.CLOUD
        if drawn < traffic.cloud_named_share + traffic.device_share:
            return AUTO, Tier.DEVICE
        named = self._names and rng.random() < traffic.named_share
        tier = Tier.CLOUD if rng.random() < traffic.cloud_share else Tier.MESH
        return rng.choice(self._names) if named else AUTO, tier

    # -- who answers -------------------------------------------------------------------------------

    def _start(self, start: actions.StartAttempt) -> None:
        life = self._life(start.connection_id)
        at_s = self._now_s + life.desk.rtt_s / 2
        if (refusal := life.refusal(start)) is not None:
            refused = events.AttemptRefused(start.attempt_id, start.epoch, refusal)
            self._timeline.at(at_s, lambda _: (refused,))
            return
        held, load_s = life.begin(start)
        self._attempts[start.attempt_id] = life.desk.node_id
        opened = events.DeliveryOpened(start.attempt_id, start.epoch, start.attempt_id)
        self._timeline.at(at_s, lambda _: self._if_on(start.attempt_id, (opened,)))
        self._timeline.at(at_s + load_s, lambda s: self._loaded(start, life, held, s))

    def _loaded(
        self, start: actions.StartAttempt, life: MachineLife, held: Held, now_s: float
    ) -> Iterable[Event]:
        if start.attempt_id not in self._attempts or life.epoch != start.epoch:
            return ()
        if not life.loaded(held):
            self._stop(start.attempt_id)
            failure = Failure(FailureCode.INTERNAL_ERROR, "the model could not be loaded")
            return (events.AttemptFailed(start.attempt_id, failure),)
        prompt_tokens = self._prompt_tokens(start.key)
        first_s = now_s + prompt_tokens / held.warm.prefill_tokens_per_s
        crowd = max(1, len(life.answering)) ** 0.5  # a batch reads the weights once
        self._answer(start.attempt_id, start.key, first_s, held.warm.decode_tokens_per_s / crowd)
        return (events.AttemptStarted(start.attempt_id, prompt_tokens, held.warm.numerics, None),)

    def _start_in_cloud(self, start: actions.StartCloudAttempt) -> None:
        self._attempts[start.attempt_id] = CLOUD_NODE
        started = events.AttemptStarted(start.attempt_id, self._prompt_tokens(start.key), "", None)
        self._timeline.at(self._now_s, lambda _: self._if_on(start.attempt_id, (started,)))
        first_s = self._now_s + CLOUD_FIRST_TOKEN_S * self._rng.uniform(0.7, 2.0)
        self._answer(start.attempt_id, start.key, first_s, CLOUD_TOKENS_PER_S)

    def _answer(self, attempt_id: AttemptId, key: RequestKey, first_s: float, rate: float) -> None:
        """Let the tokens of an answer come, from ``first_s`` on, ``rate`` a second."""
        tokens = max(1, min(self._requests[key].max_tokens, int(exp(self._rng.gauss(4.6, 0.8)))))
        prompt_tokens, in_cloud = self._prompt_tokens(key), self._attempts[attempt_id] == CLOUD_NODE
        batch = max(1, int(rate * self._traffic.progress_every_s))

        def progress(offset: int, now_s: float) -> Iterable[Event]:
            if attempt_id not in self._attempts:
                return
            count = min(batch if offset else 1, tokens - offset)
            yield events.AttemptProgressed(attempt_id, offset, count, None)
            if offset + count < tokens:
                self._timeline.at(now_s + batch / rate, lambda s: progress(offset + count, s))
                return
            self._stop(attempt_id)
            usage = Usage(prompt_tokens=prompt_tokens, completion_tokens=tokens)
            cost_microusd = self._cost_microusd(usage) if in_cloud else 0
            yield events.AttemptFinished(attempt_id, usage, None, cost_microusd)

        self._timeline.at(first_s, lambda s: progress(0, s))

    def _life(self, connection_id: int) -> MachineLife:
        return self._by_number[connection_id // CONNECTIONS_MAX]

    def _prompt_tokens(self, key: RequestKey) -> int:
        return max(1, self._requests[key].prompt_bytes // 4)

    def _if_on(self, attempt_id: AttemptId, then: Iterable[Event]) -> Iterable[Event]:
        return then if attempt_id in self._attempts else ()

    def _stop(self, attempt_id: AttemptId) -> None:
        node_id = self._attempts.pop(attempt_id, CLOUD_NODE)
        if node_id != CLOUD_NODE:
            self._lives[node_id].end(attempt_id)


def play(world: World, fleet: Fleet, until_s: float) -> int:
    """Play until ``until_s`` on the world's clock; return how many events the fleet handled."""
    handled = 0
    while (due_s := _next(world, fleet)) is not None and due_s <= until_s:
        for event in chain(_timed(fleet, due_s), world.happen(due_s)):
            handled += 1
            for action in fleet.handle(event, due_s):
                world.carry_out(action)
    return handled


def _next(world: World, fleet: Fleet) -> float | None:
    due = [each for each in (world.next_due_s, fleet.next_due_s) if each is not None]
    return min(due, default=None)


def _timed(fleet: Fleet, now_s: float) -> Iterable[Event]:
    if fleet.next_due_s is not None and fleet.next_due_s <= now_s:
        yield events.TimePassed()
