"""What the machine does beside this process."""

import subprocess
import sys
import time
from types import SimpleNamespace

import psutil
import pytest

from node_agent.engine import others_load
from node_agent.engine.others_load import (
    SAMPLE_EVERY_S,
    STALE_AFTER_S,
    OthersLoad,
    waited_s_of,
)
from node_agent.processor_time import ProcessorTime, processor_time


@pytest.fixture
def counters(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Counters that a test turns."""
    turned = SimpleNamespace(busy_s=500.0, own_s=20.0, waited_s=7.0)
    monkeypatch.setattr(
        others_load, "processor_time", lambda: ProcessorTime(0.0, turned.busy_s, 0.0)
    )
    monkeypatch.setattr(time, "process_time", lambda: turned.own_s)
    monkeypatch.setattr(others_load, "_waited_s", lambda: turned.waited_s)
    return turned


def test_our_own_work_is_not_that_of_others(counters: SimpleNamespace) -> None:
    others = OthersLoad(100.0)
    counters.busy_s, counters.own_s, counters.waited_s = 504.0, 21.0, 7.5
    seen = others.sample(102.0)
    assert seen is not None
    assert seen.cores == pytest.approx(1.5)
    assert seen.waiting == pytest.approx(0.25)
    counters.own_s = 22.0  # ours is counted more finely, so it may be ahead
    seen = others.sample(103.0)
    assert seen is not None
    assert (seen.cores, seen.waiting) == (0.0, 0.0)


def test_a_sample_takes_its_time(counters: SimpleNamespace) -> None:
    others = OthersLoad(100.0)
    assert others.sample(100.0 + SAMPLE_EVERY_S / 2) is None
    counters.busy_s = 501.0
    seen = others.sample(101.0)
    assert seen is not None
    assert seen.cores == pytest.approx(1.0)


def test_a_time_in_which_nobody_asked_is_forgotten(counters: SimpleNamespace) -> None:
    others = OthersLoad(100.0)
    counters.busy_s = 600.0
    others.resume(100.0 + STALE_AFTER_S + 1.0)
    assert others.sample(100.0 + STALE_AFTER_S + 1.1) is None
    seen = others.sample(100.0 + STALE_AFTER_S + 2.0)
    assert seen is not None
    assert seen.cores == 0.0


def test_short_answers_in_a_row_are_sampled(counters: SimpleNamespace) -> None:
    others = OthersLoad(100.0)
    counters.busy_s = 500.3
    others.resume(100.2)
    seen = others.sample(100.3)
    assert seen is not None
    assert seen.cores == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("line", "waited_s"),
    [
        ("some avg10=61.51 avg60=50.16 avg300=22.35 total=88121451", 88.121451),
        ("some avg10=0.00 avg60=0.00 avg300=0.00 total=0", 0.0),
        ("", 0.0),
        ("full avg10=0.00 avg60=0.00 avg300=0.00 total=5", 0.0),
        ("some avg10=0.00 total=many", 0.0),
    ],
)
def test_the_kernels_count_of_those_who_wait_is_read(line: str, waited_s: float) -> None:
    assert waited_s_of(line) == pytest.approx(waited_s)


def test_work_of_another_process_is_seen_and_our_own_is_not() -> None:
    """Whatever else this machine does only adds to the others' work."""
    began_s, busy_s = time.monotonic(), processor_time().busy_s
    others = OthersLoad(began_s)
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as child:
        try:
            theirs, own_s = psutil.Process(child.pid), time.process_time()
            while sum(theirs.cpu_times()[:2]) < 0.5 or time.process_time() - own_s < 0.5:
                sum(range(10_000))
            ended_s = time.monotonic()
            seen = others.sample(ended_s)
            all_s = processor_time().busy_s - busy_s
        finally:
            child.kill()
    assert seen is not None
    others_s = seen.cores * (ended_s - began_s)
    assert others_s > 0.4  # the kernel counts in steps of 10 ms
    assert all_s - others_s > 0.4
