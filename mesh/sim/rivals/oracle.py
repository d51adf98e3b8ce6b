"""An oracle with our objective: it sees into the machines, and picks the least true cost.

It knows each running request's work that is left, what is on its way, how long the new answer will
be, and how fast every machine is. Of the machines with a free slot it takes the one on which this
request costs least by the policy's weights, if nobody comes after it. It is greedy, as we are: it
does not leave a machine to a later request that needs it more, so it is no bound on what is
possible, but on what better knowledge alone would bring.
"""

from collections.abc import Mapping
from heapq import heapify, heappop, heappush
from itertools import groupby
from math import inf

from mesh.core.cost import Prediction, cost_of
from mesh.core.types import NodeId, ReplicaState, Request
from mesh.sim.rivals.plain_fleet import View
from mesh.sim.serving.arrivals import Ask
from mesh.sim.serving.machine import Machine
from mesh.sim.serving.service import Service
from mesh.sim.serving.world import ServingWorld


class Oracle:
    """Looks at machines kind by kind, the fastest first, and stops where none can be better."""

    def __init__(self, world: ServingWorld) -> None:
        self._world = world
        self._free: dict[NodeId, View] = {}
        self._kinds = _by_kind(world.machines)

    def reported(self, view: View) -> None:
        pass

    def changed(self, view: View) -> None:
        if view.free:
            self._free[view.node_id] = view
        else:
            self._free.pop(view.node_id, None)

    def pick(self, request: Request) -> View | None:
        if not self._free:
            return None
        ask = self._world.outcomes[request.key].ask
        policy, now_s = request.policy, self._world.now_s
        per_first, per_rest = policy.first_token + policy.completion, policy.completion
        prompt_tokens, rest_tokens = ask.prompt_tokens, ask.output_tokens - 1
        best, best_cost = None, inf
        for prefill_s, step_s, machines in self._kinds:
            if per_first * prompt_tokens * prefill_s + per_rest * rest_tokens * step_s >= best_cost:
                continue
            for machine in machines:
                node_id = machine.desk.node_id
                if node_id not in self._free:
                    continue
                service = machine.service
                first_s = service.first_s_at_least(prompt_tokens, now_s) + _load_s(machine, now_s)
                first_s += machine.desk.rtt_s
                rest_s = rest_tokens * service.pace.step_s
                if per_first * first_s + per_rest * rest_s >= best_cost:
                    continue
                if (cost := cost_of(policy, foresee(machine, ask, now_s))) < best_cost:
                    best, best_cost = node_id, cost
        return self._free[best] if best is not None else None


def foresee(machine: Machine, ask: Ask, now_s: float) -> Prediction:
    """Return when ``ask`` truly begins and ends on ``machine``, if nothing else is given to it."""
    wait_s = _load_s(machine, now_s)
    reading, decoding = machine.service.left(now_s)
    for work in (*machine.loading.values(), *machine.on_their_way.values()):
        reading.append((float(work.prompt_tokens), work.output_tokens))
    first_s, last_s = _run(machine.service, reading, decoding, ask)
    rtt_s = machine.desk.rtt_s
    return Prediction(rtt_s + wait_s + first_s, rtt_s + wait_s + last_s)


def _run(
    service: Service, reading: list[tuple[float, int]], decoding: list[float], ask: Ask
) -> tuple[float, float]:
    """Let an engine go on until ``ask``, which joins now, has its first and its last token."""
    readers = [(left, output, False) for left, output in reading]
    readers.append((float(ask.prompt_tokens), ask.output_tokens, True))
    decoders = [(left, False) for left in decoding]
    heapify(readers)
    heapify(decoders)
    at_s = read = said = 0.0
    first_s = 0.0
    while True:
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
            return first_s, at_s


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
