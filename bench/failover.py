"""Machines die while they answer, a thousand answers long: what their clients notice.

A coordinator and three nodes, each a process of its own with engine processes, joined by mTLS.
Twelve clients stream answers all the time, from the trained test model and from one of random
weights whose logits are close, greedy and seeded. Whoever is in the middle of one strikes its
machine: by kill -9 of the agent or of the engine, by SIGSTOP of all (silence) or of the engine
alone (a wedge).
``kills`` counts the answers that were cut and went on. The gap is that of answers whose other two
machines were both well; where one of them was down as well, the wait for its slots is told apart.
"""

import asyncio
import time
from collections import defaultdict
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from random import Random

from bench.failover_answers import Case, Told, cases, tell
from bench.failover_machines import How, VictimMachine, victims
from bench.played_mesh import played_mesh
from bench.random_models import CLOSE, random_model
from bench.result import Figures, percentile
from mesh.client import MeshClient, connect
from mesh.errors import MeshError

MACHINES = 3
STREAMS = 12
KILLS, KILLS_SHORT = 1000, 40
RESUMES_COMPARED = 50
CUT_TOKENS = (4, 60)  # an answer is cut after so many tokens, or a few more
TRAINED = "test-tiny"
# Of all blows: hangs take seconds to notice, on purpose.
BLOWS = {How.AGENT: 0.55, How.ENGINE: 0.35, How.SILENCE: 0.05, How.WEDGE: 0.05}
ALL_READY = 0.6  # of all blows come while every machine is well; the others hit the last but one
# When an answer was cut is reckoned by two clocks: its client's, and the coordinator's from there.
CLOCKS_S = 0.1
_TELL_EVERY = 100
_LIMIT_S = 1200.0  # then it tells of those that there was time for


@dataclass(frozen=True, slots=True)
class Blow:
    """What was done to a machine."""

    name: str
    how: How
    at_s: float  # on ``time.monotonic``
    others_ready: int  # machines that were well, and could go on at once


@dataclass(slots=True)
class Havoc:
    """Strikes machines, and knows when it did."""

    machines: dict[str, VictimMachine]
    random: Random
    wanted: int
    until_s: float  # on ``time.monotonic``
    cut: list[tuple[Told, "Blow"]] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)  # answers that did not go on, and why
    whole: int = 0
    ready_wanted: int = MACHINES  # before the next blow
    blows: list[Blow] = field(default_factory=list)  # in their order

    @property
    def over(self) -> bool:
        return len(self.cut) >= self.wanted or time.monotonic() >= self.until_s

    def watcher(self) -> "Watcher":
        return Watcher(self, self.random.randint(*CUT_TOKENS))

    def strike(self, name: str) -> bool:
        """Strike a machine, if others are there to go on."""
        machine = self.machines[name]
        ready = sum(each.ready for each in self.machines.values())
        if not machine.ready or ready < self.ready_wanted:
            return False
        self.ready_wanted = MACHINES if self.random.random() < ALL_READY else 2
        how = self.random.choices(list(BLOWS), list(BLOWS.values()))[0]
        self.blows.append(Blow(name, how, machine.strike(how), ready - 1))
        if how in (How.SILENCE, How.WEDGE):
            asyncio.get_running_loop().call_later(6.0, machine.come_back, how)
        return True

    def ended(self, told: Told) -> None:
        if told.cut_after is None or told.went_on_s is None:
            self.whole += 1
            return
        name, noticed_s = told.attempts[0].node_name, told.noticed_s
        before = (each for each in reversed(self.blows) if each.at_s < noticed_s + CLOCKS_S)
        blow = next((each for each in before if each.name == name), None)
        if blow is not None and blow.at_s >= told.sent_s:
            self.cut.append((told, blow))
            if len(self.cut) % _TELL_EVERY == 0:
                print(f"{len(self.cut)} of {self.wanted} answers cut", flush=True)

    def alone(self, blow: Blow, until_s: float) -> bool:
        """Were both other machines well from the blow until then?"""
        others = (each for each in self.blows if blow.at_s < each.at_s < until_s)
        return blow.others_ready == MACHINES - 1 and not any(others)


@dataclass(slots=True)
class Watcher:
    """Looks at one answer, and strikes once it has enough tokens."""

    havoc: Havoc
    after: int
    done: bool = False

    def __call__(self, told: Told) -> None:
        if not self.done and told.finished is None and len(told.ids) >= self.after:
            self.done = self.havoc.strike(told.started.node_name) or told.cut_after is not None
            self.after += 8


async def measure(short: bool) -> Figures:
    """Cut answers until there are enough of them."""
    async with AsyncExitStack() as stack:
        mesh = await stack.enter_async_context(played_mesh())
        folder = mesh.folder / "models"
        folder.mkdir()
        close = random_model(CLOSE, "f16", folder)
        print(f"starting {MACHINES} machines", flush=True)
        models = (TRAINED, close.stem)
        machines = await stack.enter_async_context(victims(mesh, MACHINES, folder, models))
        client = await stack.enter_async_context(connect(f"127.0.0.1:{mesh.local_port}"))
        every = cases(*models)
        undisturbed = {case: (await tell(client, case)).ids for case in every}
        havoc = Havoc(
            {each.name: each for each in machines},
            Random(0),
            KILLS_SHORT if short else KILLS,
            time.monotonic() + _LIMIT_S,
        )
        async with asyncio.TaskGroup() as group:
            for number in range(STREAMS):
                group.create_task(_stream(client, havoc, every, number))
        resumed = await _resumes(client, havoc)
        deaths = sum(each.deaths for each in machines)
    return {**_figures(havoc, undisturbed), "resumes_equal_share": resumed, "blows": deaths}


async def _stream(client: MeshClient, havoc: Havoc, every: list[Case], number: int) -> None:
    while not havoc.over:
        case = every[havoc.random.randrange(len(every))]
        try:
            havoc.ended(await tell(client, case, at=havoc.watcher()))
        except MeshError as failure:
            havoc.lost.append(f"{failure.code}: {failure.message}")
            print(f"stream {number} lost an answer: {failure}", flush=True)


async def _resumes(client: MeshClient, havoc: Havoc) -> float:
    """The share of cut answers whose rest is what any machine gives to the same resume."""
    some = [told for told, _ in havoc.cut[:: max(1, len(havoc.cut) // RESUMES_COMPARED)]]
    equal = 0
    for told in some:
        ids = [id_ async for event in client.answer(told.rest()) for id_ in event.delta.ids]
        equal += ids == told.ids[told.cut_after or 0 :]
    return equal / len(some)


def _figures(havoc: Havoc, undisturbed: dict[Case, list[int]]) -> Figures:
    gaps_ms: dict[bool, list[float]] = {True: [], False: []}  # were all others ready?
    noticed_s = defaultdict(list)
    identical = alike = 0
    for told, blow in havoc.cut:
        assert told.finished is not None
        assert told.went_on_s is not None
        noticed_s[blow.how].append(max(0.0, told.noticed_s - blow.at_s))
        if len(told.attempts) == 2:
            again = told.attempts[-1]
            read_s = again.first_token_s - again.accepted_s  # the prompt, and what was said
            gap_s = told.went_on_s - told.noticed_s - read_s
            gaps_ms[havoc.alone(blow, told.went_on_s)].append(gap_s * 1000)
        if not told.finished.receipt.numerics_changed_at_token:
            alike += 1
            identical += told.ids == undisturbed[told.case]
    resets = noticed_s[How.AGENT] + noticed_s[How.ENGINE]
    return {
        "kills": len(havoc.cut),
        "answers_lost": len(havoc.lost),
        "answers_whole": havoc.whole,
        "tokens_lost": sum(told.lost for told, _ in havoc.cut),
        "tokens_repeated": sum(told.repeated for told, _ in havoc.cut),
        "identical_share": identical / alike if alike else None,
        "gap_beyond_detection_ms_p50": percentile(gaps_ms[True], 50) if gaps_ms[True] else None,
        "gap_beyond_detection_ms_p99": _p99(gaps_ms[True]),
        "gaps": len(gaps_ms[True]),
        # One other machine was there for all twelve streams: some wait for a slot of its eight.
        "gap_with_one_machine_left_ms_p99": _p99(gaps_ms[False]),
        "gaps_with_one_machine_left": len(gaps_ms[False]),
        "detect_reset_ms_p99": percentile(resets, 99) * 1000 if resets else None,
        "detect_silent_s_p99": _p99(noticed_s[How.SILENCE]),
        "detect_wedge_s_p99": _p99(noticed_s[How.WEDGE]),
    }


def _p99(values: list[float]) -> float | None:
    return percentile(values, 99) if values else None
