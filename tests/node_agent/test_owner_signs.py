"""What a machine shows of its owner."""

import time
from types import SimpleNamespace

import psutil
import pytest

from node_agent import owner_signs
from node_agent.owner_signs import SLOW_EVERY_S, OwnerSigns, temperature_share
from node_agent.processor_time import ProcessorTime, process_seconds, processor_time


@pytest.fixture
def counters(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Counters that a test turns."""
    turned = SimpleNamespace(total_s=1000.0, busy_s=100.0, niced_s=10.0, agent_s=3.0, engines={})

    def now() -> ProcessorTime:
        return ProcessorTime(turned.total_s, turned.busy_s, turned.niced_s)

    monkeypatch.setattr(owner_signs, "processor_time", now)
    monkeypatch.setattr(time, "process_time", lambda: turned.agent_s)
    monkeypatch.setattr(owner_signs, "process_seconds", lambda pid: turned.engines[pid])
    return turned


async def cpu(signs: OwnerSigns, *engines: int) -> float:
    return (await signs.look(engines, 0.0)).cpu


async def test_the_owners_work_is_what_was_done_since_the_last_look(
    counters: SimpleNamespace,
) -> None:
    signs = OwnerSigns()
    counters.total_s, counters.busy_s = 1002.0, 101.0
    assert await cpu(signs) == pytest.approx(0.5)
    counters.total_s = 1004.0
    assert await cpu(signs) == pytest.approx(0.0)
    assert await cpu(signs) == 0.0  # no time has passed


async def test_work_of_low_priority_is_not_the_owners(counters: SimpleNamespace) -> None:
    """Another node's engines, or an indexer: they step back by themselves."""
    signs = OwnerSigns()
    counters.total_s, counters.busy_s, counters.niced_s = 1002.0, 102.0, 11.5
    assert await cpu(signs) == pytest.approx(0.25)


async def test_our_engines_are_not_the_owners_work_where_no_priority_is_counted(
    counters: SimpleNamespace,
) -> None:
    signs = OwnerSigns()
    counters.engines = {7: 50.0}
    await cpu(signs, 7)
    counters.total_s, counters.busy_s, counters.engines = 1002.0, 102.0, {7: 51.5}
    assert await cpu(signs, 7) == pytest.approx(0.25)


async def test_our_engines_are_taken_out_once(counters: SimpleNamespace) -> None:
    """Where their priority is counted apart, they are in both counts."""
    signs = OwnerSigns()
    counters.engines = {7: 50.0}
    await cpu(signs, 7)
    counters.total_s, counters.busy_s, counters.niced_s = 1002.0, 102.0, 11.0
    counters.engines = {7: 51.0}
    assert await cpu(signs, 7) == pytest.approx(0.5)


async def test_the_agents_own_work_is_not_the_owners(counters: SimpleNamespace) -> None:
    signs = OwnerSigns()
    counters.total_s, counters.busy_s, counters.agent_s = 1002.0, 102.0, 3.5
    counters.niced_s = 11.0
    assert await cpu(signs) == pytest.approx(0.25)


async def test_what_changes_slowly_is_read_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(psutil, "sensors_battery", lambda: asked.append(1), raising=False)
    signs = OwnerSigns()
    for now_s in (100.0, 101.0, 100.0 + SLOW_EVERY_S - 0.1, 100.0 + SLOW_EVERY_S):
        await signs.look((), now_s)
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("battery", "on_battery", "charged"),
    [
        (None, False, None),
        (SimpleNamespace(power_plugged=True, percent=50), False, 0.5),
        (SimpleNamespace(power_plugged=None, percent=50), False, 0.5),  # psutil does not know
        (SimpleNamespace(power_plugged=False, percent=101), True, 1.0),
    ],
)
async def test_a_battery_is_read(
    monkeypatch: pytest.MonkeyPatch, battery: object, on_battery: bool, charged: float | None
) -> None:
    monkeypatch.setattr(psutil, "sensors_battery", lambda: battery, raising=False)
    signs = await OwnerSigns().look((), 0.0)
    assert (signs.on_battery, signs.battery) == (on_battery, charged)


async def test_broken_sensors_tell_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise FileNotFoundError("/sys/class")

    monkeypatch.setattr(psutil, "sensors_battery", broken, raising=False)
    monkeypatch.setattr(psutil, "sensors_temperatures", broken, raising=False)
    signs = await OwnerSigns().look((), 0.0)
    assert (signs.on_battery, signs.battery, signs.temperature) == (False, None, None)


def reading(
    current: float, high: float | None = None, critical: float | None = None
) -> SimpleNamespace:
    return SimpleNamespace(current=current, high=high, critical=critical)


@pytest.mark.parametrize(
    ("sensors", "share"),
    [
        ({}, None),
        ({"coretemp": [reading(50, 100, 100), reading(80, 100, 100)]}, 0.8),
        ({"k10temp": [reading(50)]}, None),
        ({"k10temp": [reading(76, None, 95)]}, 0.8),
        ({"nvme": [reading(80, 82)]}, None),  # not the processor
        ({"coretemp": [reading(80, 65261.8), reading(80, 0.0)]}, None),  # placeholders
        ({"coretemp": [reading(120, 100)]}, 1.0),
    ],
)
def test_the_hottest_processor_sensor_counts(
    sensors: dict[str, list[SimpleNamespace]], share: float | None
) -> None:
    assert temperature_share(sensors) == (None if share is None else pytest.approx(share))


async def test_this_machine_is_read() -> None:
    signs = await OwnerSigns().look((), 0.0)
    assert 0.0 <= signs.cpu <= 1.0


def test_processor_time_only_grows() -> None:
    before = processor_time()
    after = processor_time()
    assert after.total_s >= before.total_s > 0
    assert 0 <= after.niced_s <= after.busy_s <= after.total_s
    assert process_seconds(psutil.Process().pid) > 0
