"""An oracle with our objective: it sees into the machines, and picks the least true cost.

It knows each running request's work that is left, what is on its way, how long the new answer will
be, and how fast every machine is. It takes the machine on which this request costs least by its
policy, if nobody comes after it; that may be a full one, for which the request then waits behind
whoever does already. It is greedy, as we are: it does not leave a machine to a later request that
needs it more, so it is no bound on what is possible, but on what better knowledge alone would
bring.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from heapq import heapify, heappop, heappush
from itertools import groupby
from math import inf
from random import Random

from mesh.core.cost import Prediction, cost_of
from mesh.core.types import NodeId, ReplicaState, Request
from mesh.sim.rivals.plain_fleet import View
from mesh.sim.serving.arrivals import Ask
from mesh.sim.serving.machine import Machine
from mesh.sim.serving.world import ServingWorld

# Of one kind, from a place that is drawn: the best of so many that are alike but for their load is
# hardly worse than the best of all, and to see into a thousand for each request takes too long.
LOOKED_AT_MAX = 40


class Oracle:
    """Looks at machines kind by kind, the fastest first, and passes those that can't be better."""

    def __init__(self, world: ServingWorld, rng: Random, *, may_wait: bool = True) -> None:
        """``may_wait``: for a full machine while others are free."""
        self._world = world
        self._rng = rng
        self._may_wait = may_wait
        self._views: dict[NodeId, View] = {}
        self._kinds = _by_kind(world.machines)

    def reported(self, view: View) -> None:
        self._views[view.node_id] = view

    def changed(self, view: View) -> None:
        pass

    def pick(self, request: Request) -> View | None:
        ask = self._world.outcomes[request.key].ask
        policy, now_s = request.policy, self._world.now_s
        per_first, per_rest = policy.first_token + policy.completion, policy.completion
        best, best_cost = None, inf
        for prefill_s, step_s, machines in self._kinds:
            reading_s = ask.prompt_tokens * prefill_s
            rest_s = (ask.output_tokens - 1) * step_s
            if per_first * reading_s + per_rest * rest_s >= best_cost:
                continue
            bounds = []
            for number, machine in enumerate(self._some(machines)):
                view = self._views.get(machine.desk.node_id)
                if view is None or not (view.free or self._may_wait):
                    continue
                before = [each.output_tokens for each in self._before(view)] if view.line else []
                first_s = _first_s_at_least(machine, view, ask, before, now_s)
                rest_s = (ask.output_tokens - 1) * machine.service.pace.step_s
                bound = per_first * first_s + per_rest * rest_s
                if bound < best_cost:
                    bounds.append((bound, number, machine, view))
            bounds.sort()
            for bound, _, machine, view in bounds:
                if bound >= best_cost:
                    break
                true = foresee(machine, self._before(view), ask, now_s)
                if (cost := cost_of(policy, true)) < best_cost:
                    best, best_cost = view, cost
        return best

    def _some(self, machines: list[Machine]) -> list[Machine]:
        if len(machines) <= LOOKED_AT_MAX:
            return machines
        start = int(self._rng.random() * len(machines))
        return (machines[start:] + machines[:start])[:LOOKED_AT_MAX]

    def _before(self, view: View) -> list[Ask]:
        return [self._world.outcomes[request.key].ask for request in view.line]


def foresee(machine: Machine, before: Sequence[Ask], ask: Ask, now_s: float) -> Prediction:
    """Return when ``ask`` truly begins and ends on ``machine``, if nothing else is given to it.

    Args:
        before: who waits for a slot of the machine before it.
    """
    reading, decoding = machine.service.left(now_s)
    for work in (*machine.loading.values(), *machine.on_their_way.values()):
        reading.append((float(work.prompt_tokens), work.output_tokens))
    waiting = deque((float(each.prompt_tokens), each.output_tokens) for each in (*before, ask))
    first_s, last_s = _run(machine, reading, decoding, waiting)
    wait_s = machine.desk.rtt_s + _load_s(machine, now_s)
    return Prediction(wait_s + first_s, wait_s + last_s)


def _run(
    machine: Machine,
    reading: list[tuple[float, int]],
    decoding: list[float],
    waiting: deque[tuple[float, int]],
) -> tuple[float, float]:
    """Let an engine go on until the last of those that wait has its first and its last token.

    Whoever waits joins as soon as a slot is free, but for the time of the messages in between.
    """
    readers = [(left, output, False) for left, output in reading]
    decoders = [(left, False) for left in decoding]
    heapify(readers)
    heapify(decoders)
    service, slots = machine.service, machine.held.warm.slots
    at_s = read = said = first_s = 0.0
    joins_after_s = machine.desk.rtt_s if len(readers) + len(decoders) >= slots else 0.0
    while True:
        while waiting and len(readers) + len(decoders) < slots:
            prompt, output = waiting.popleft()
            heappush(readers, (read + prompt, output, not waiting))
        read_rate, say_rate = service.rates(len(readers), len(decoders))
        read_s = (readers[0][0] - read) / read_rate if readers else inf
        say_s = (decoders[0][0] - said) / say_rate if decoders else inf
        passed_s = min(read_s, say_s)
        at_s, read, said = at_s + passed_s, read + read_rate * passed_s, said + say_rate * passed_s
        if read_s <= say_s:
            _, output, ours = heappop(readers)
            heappush(decoders, (said + output - 1, ours))
            first_s = at_s if ours else first_s
        elif heappop(decoders)[1]:
            return first_s + joins_after_s, at_s + joins_after_s


def _first_s_at_least(
    machine: Machine, view: View, ask: Ask, before: list[int], now_s: float
) -> float:
    """Return a time before which there is no first token: a cheap bound."""
    service = machine.service
    if view.free and not view.line:
        wait_s = service.first_s_at_least(ask.prompt_tokens, now_s)
    else:
        coming = len(machine.on_their_way) + len(machine.loading)
        # Of those on their way each may be done first, for all that is looked at here.
        wait_s = 0.0 if coming else service.frees_s_at_least(before, now_s)
        wait_s += ask.prompt_tokens * service.pace.prefill_token_s
    return machine.desk.rtt_s + _load_s(machine, now_s) + wait_s


def _load_s(machine: Machine, now_s: float) -> float:
    match machine.state:
        case ReplicaState.AVAILABLE:
            return machine.held.load_s
        case ReplicaState.LOADING:
            return max(0.0, machine.ready_s - now_s)
    return 0.0


def _by_kind(machines: Mapping[NodeId, Machine]) -> list[tuple[float, float, list[Machine]]]:
    """Group machines by kind, with the best prefill and step times of each; the fastest first."""
    ordered = sorted(machines.values(), key=lambda machine: machine.desk.kind.name)
    kinds = []
    for _, group in groupby(ordered, key=lambda machine: machine.desk.kind.name):
        members = list(group)
        paces = [machine.service.pace for machine in members]
        prefill_s = min(pace.prefill_token_s for pace in paces)
        kinds.append((prefill_s, min(pace.step_s for pace in paces), members))
    return sorted(kinds, key=lambda kind: kind[0])
