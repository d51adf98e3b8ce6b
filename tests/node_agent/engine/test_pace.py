"""The step loop on a real model, beside other work that a test plays."""

from itertools import count, cycle
from pathlib import Path

import psutil
import pytest

from mesh.core.generation import Delta, Finished, Generation, Sampling, TokenLogprob
from node_agent.engine.abort import AbortFlag
from node_agent.engine.bindings import native
from node_agent.engine.inbox import Inbox, Prepared, Prompt
from node_agent.engine.llama import Llama
from node_agent.engine.messages import FromEngine, Produced
from node_agent.engine.pace import Pace
from node_agent.engine.proof import prove
from node_agent.engine.step_loop import StepLoop
from node_agent.engine.thread_governor import UP_AFTER_S, OtherWork, ThreadGovernor
from tests.node_agent.engine.asking import ask

STEP_S = 0.25  # of the clock that a test plays
STORY = "a mesh of desks that answer together " * 6


class Played:
    """Other work, one sample a step; the last one stays."""

    def __init__(self, *cores: float) -> None:
        self._cores = list(cores)
        self.resumed = 0

    def resume(self, now_s: float) -> None:
        self.resumed += 1

    def sample(self, now_s: float) -> OtherWork | None:
        now = self._cores.pop(0) if len(self._cores) > 1 else self._cores[0]
        return OtherWork(now, 0.0)


def paced(others: Played | None, most: int) -> Pace:
    clock = count(step_s := 100)
    return Pace(ThreadGovernor(most, cores=most), others, lambda: (next(clock) - step_s) * STEP_S)


class Run:
    """One engine's inside, in this process."""

    def __init__(self, path: Path, pace: Pace, *, threads: int, slots: int = 2) -> None:
        abort = AbortFlag()
        self.llama = Llama(path, context_tokens=512, slots=slots, threads=threads, abort=abort)
        self._inbox = Inbox(abort)
        self._loop = StepLoop(self.llama, prove(self.llama), pace, self._inbox, self._heard)
        self._told: dict[int, list[TokenLogprob]] = {}
        self._open: set[int] = set()
        self.threads: list[int] = []  # of each step

    def answers(self, *works: Generation) -> list[list[TokenLogprob]]:
        """Answer all of them together; return what each tells of its tokens."""
        for number, work in enumerate(works):
            prompt = tuple(self.llama.tokenise(work.messages[0].text))
            self._told[number] = []
            self._open.add(number)
            self._inbox.prepared(Prepared(number, work, Prompt(prompt)))
        while self._open:
            self._loop.turn()
            self.threads.append(native.llama_n_threads(self.llama.context))
        return [self._told[number] for number in range(len(works))]

    def _heard(self, message: FromEngine) -> None:
        assert isinstance(message, Produced), message
        if isinstance(message.event, Delta):
            self._told[message.request] += message.event.logprobs
        elif isinstance(message.event, Finished):
            self._open.discard(message.request)


def test_threads_step_aside_at_once_and_come_back_later(random_model: Path) -> None:
    others = Played(0.0, 0.0, 1.0, 1.0, 0.0)
    run = Run(random_model, paced(others, 2), threads=2)
    run.answers(ask("hello", max_tokens=30))
    kept = round(UP_AFTER_S / STEP_S)
    assert run.threads[:5] == [2, 2, 1, 1, 1]
    assert run.threads[4 : 4 + kept - 1] == [1] * (kept - 1)
    assert set(run.threads[4 + kept :]) == {2}


def test_a_loop_without_work_forgets_what_others_did(random_model: Path) -> None:
    others = Played(0.0)
    run = Run(random_model, paced(others, 2), threads=2)
    run.answers(ask("hello", max_tokens=3))
    run.answers(ask("hello", max_tokens=3))
    assert others.resumed == 2


def test_one_thread_needs_no_samples(random_model: Path) -> None:
    run = Run(random_model, Pace.of_machine(1), threads=1)
    assert run.answers(ask("hello", max_tokens=3))
    assert set(run.threads) == {1}


def test_a_machine_that_tells_nothing_of_its_load_gets_all_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def denied() -> None:
        raise PermissionError("/proc/stat")

    monkeypatch.setattr(psutil, "cpu_times", denied)
    assert Pace.of_machine(3).threads() == 3


def test_more_threads_than_cores_are_as_many_as_were_wanted() -> None:
    pace = Pace.of_machine(1000)
    pace._governor.saw(OtherWork(cores=0.0, waiting=0.0), 1.0)
    assert pace.threads() == 1000


@pytest.mark.parametrize("model", ["close_model", "close_half_model"])
def test_an_answer_is_the_same_to_the_bit_while_threads_come_and_go(
    model: str, request: pytest.FixtureRequest
) -> None:
    path: Path = request.getfixturevalue(model)
    hot = Sampling(temperature=1.2, top_k=0, top_p=1.0, min_p=0.0, seed=7)
    works = [
        ask(STORY, max_tokens=40, logprobs=0),
        ask("and " + STORY, sampling=hot, max_tokens=40, logprobs=0),
    ]
    steady = Run(path, paced(None, 1), threads=1)
    restless = Run(path, paced(Played(*restless_work()), 4), threads=4)
    restless_answers = restless.answers(*works)
    assert set(restless.threads) >= {1, 2, 3, 4}
    assert restless_answers == steady.answers(*works)


def restless_work() -> list[float]:
    """Other work of 0 to 3 cores, each for longer than room must last."""
    levels = cycle((0.0, 3.0, 1.0, 2.0))
    return [level for level, _ in zip(levels, range(12), strict=False) for _ in range(8)]
