"""What a machine says of itself."""

import os
import subprocess
import sys
import time
from types import SimpleNamespace

import psutil
import pytest

from mesh.version import VERSION
from node_agent import probe
from node_agent.probe import Probe, read_machine


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A machine of one core with counters that a test turns."""
    counters = SimpleNamespace(busy_s=100.0, total_s=1000.0, ours_s=0.0)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    monkeypatch.setattr(psutil, "getloadavg", lambda: (0.25, 0.0, 0.0))
    monkeypatch.setattr(probe, "_processor_seconds", lambda: (counters.busy_s, counters.total_s))
    monkeypatch.setattr(probe, "_process_seconds", lambda pid: counters.ours_s)
    return counters


def test_a_machine_is_described() -> None:
    machine = read_machine()
    assert machine.name
    assert "." not in machine.name
    assert machine.platform.split()[0] in {"Linux", "macOS"}
    assert 1 <= machine.cores <= (os.cpu_count() or 1)
    assert machine.memory_bytes == psutil.virtual_memory().total
    assert machine.version == VERSION


def test_an_owners_name_for_a_machine_wins() -> None:
    assert read_machine("edge-7").name == "edge-7"
    assert len(read_machine("x" * 999).name) == 64


def test_a_real_sample_is_in_range() -> None:
    load = Probe().sample()
    assert 0.0 <= load.cpu <= 1.0
    assert 0.0 < load.memory < 1.0
    assert 0 < load.memory_free_bytes < psutil.virtual_memory().total


def test_the_work_of_our_engines_is_taken_out_of_the_load() -> None:
    """Two probes see the same stretch of time; one knows that a busy process is ours."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as child:
        try:
            everything, others = Probe(), Probe()
            wait_for_work(child.pid, 0.2)
            others.sample([child.pid])
            everything.sample()
            wait_for_work(child.pid, 0.6)
            assert everything.sample().cpu > others.sample([child.pid]).cpu
        finally:
            child.kill()


def wait_for_work(process: int, seconds: float) -> None:
    """Wait until ``process`` has had so much processor time, however busy the machine is."""
    while sum(psutil.Process(process).cpu_times()[:2]) < seconds:
        time.sleep(0.02)


def test_the_first_sample_tells_the_average_of_the_last_minute(clock: SimpleNamespace) -> None:
    assert Probe().sample().cpu == 0.25


def test_a_sample_covers_the_time_since_the_last_one(clock: SimpleNamespace) -> None:
    under_test = Probe()
    clock.busy_s, clock.total_s = 100.5, 1001.0
    assert under_test.sample().cpu == pytest.approx(0.5)
    clock.total_s = 1002.0
    assert under_test.sample().cpu == pytest.approx(0.0)


def test_a_sample_too_soon_repeats_the_last_one(clock: SimpleNamespace) -> None:
    under_test = Probe()
    clock.busy_s, clock.total_s = 101.0, 1001.0
    assert under_test.sample().cpu == pytest.approx(1.0)
    clock.total_s = 1001.01
    assert under_test.sample().cpu == pytest.approx(1.0)


def test_what_our_engines_do_is_not_load(clock: SimpleNamespace) -> None:
    under_test = Probe()
    clock.busy_s, clock.total_s, clock.ours_s = 101.0, 1001.0, 500.0
    assert under_test.sample([7]).cpu == pytest.approx(1.0)  # it may have worked at any time before
    clock.busy_s, clock.total_s, clock.ours_s = 101.75, 1002.0, 500.5
    assert under_test.sample([7]).cpu == pytest.approx(0.25)


def test_a_process_that_ended_is_no_error() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        child.wait()
    assert probe._process_seconds(child.pid) == 0.0


@pytest.mark.parametrize(
    ("battery", "on_battery"),
    [
        (None, False),
        (SimpleNamespace(power_plugged=True), False),
        (SimpleNamespace(power_plugged=None), False),  # psutil does not know
        (SimpleNamespace(power_plugged=False), True),
    ],
)
def test_only_a_pulled_plug_is_battery_power(
    monkeypatch: pytest.MonkeyPatch, battery: object, on_battery: bool
) -> None:
    monkeypatch.setattr(psutil, "sensors_battery", lambda: battery, raising=False)
    assert Probe().sample().on_battery is on_battery


def test_a_machine_whose_battery_cannot_be_read_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise FileNotFoundError("/sys/class/power_supply/BAT0/uevent")

    monkeypatch.setattr(psutil, "sensors_battery", broken, raising=False)
    assert Probe().sample().on_battery is False


def test_the_battery_is_not_asked_at_each_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(psutil, "sensors_battery", lambda: asked.append(1), raising=False)
    under_test = Probe()
    for _ in range(5):
        under_test.sample()
    assert len(asked) == 1
