"""An engine that starts and stops all day leaves nothing behind, and little in the log."""

import asyncio
import gc
import logging
from collections.abc import Callable, Sequence

import pytest

from mesh.settings import NodeSettings
from node_agent.adopted import adoption
from node_agent.adopted.adoption import Adoption
from node_agent.adopted.described import Described, EngineListing
from node_agent.adopted.guest import Guest
from node_agent.adopted.kinds import Kind
from node_agent.adopted.looking import NotThere
from node_agent.shelf import Shelf
from tests.node_agent.played_engines import Engines
from tests.node_agent.played_time import run

HOUR_S = 3600.0
# Seconds for which it is there, and then is not; an hour of each, again and again.
RHYTHMS = ((4.0, 4.0), (60.0, 60.0), (155.0, 5.0), (400.0, 5.0))
LINES_A_DAY_MAX = 24 * HOUR_S / 150 * 2  # a departure in 150 s is the most that is no restlessness


class Comings:
    """Stands where ``Recognised`` does: an engine that is there by the clock."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self.looks = 0

    async def list(self) -> EngineListing:
        self.looks += 1
        now_s = self._now_s()
        there_s, away_s = RHYTHMS[int(now_s // HOUR_S) % len(RHYTHMS)]
        if now_s % (there_s + away_s) >= there_s:
            raise NotThere
        return EngineListing(Kind.VLLM, "1", (Described("m", ("m",)),))

    def forget(self) -> None:
        pass


def test_a_day_of_comings_and_goings_leaves_no_more_than_an_hour(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "node")
    arranged = 0

    async def day() -> None:
        nonlocal arranged
        comings = Comings(asyncio.get_running_loop().time)
        monkeypatch.setattr(adoption, "Recognised", lambda *_: comings)
        # Elsewhere, so that no processes are looked for.
        settings = NodeSettings(
            engines=("http://engine.example:8000",), engines_plain_http=True, find_engines=False
        )
        shelf = Shelf(Engines().load, settings, free_memory=lambda: 1 << 40)

        def host(guests: Sequence[Guest]) -> None:
            nonlocal arranged
            arranged += 1
            shelf.host(guests)

        async with shelf.running():
            following = asyncio.create_task(Adoption(settings, host).run())
            await asyncio.sleep(4 * HOUR_S)
            held = _objects()
            await asyncio.sleep(20 * HOUR_S)
            assert _objects() - held < 100
            assert len(asyncio.all_tasks()) < 10
            assert len(shelf.offers()) <= 1
            following.cancel()
            await asyncio.wait([following])
        assert comings.looks > 5_000

    run(day())
    assert arranged > 100, "it did come and go"
    lines = [each for each in caplog.records if each.name == "node"]
    assert 10 < len(lines) < min(arranged / 2, LINES_A_DAY_MAX)
    hushed = [each for each in lines if "comes and goes" in each.getMessage()]
    stays = [each for each in lines if "stays now" in each.getMessage()]
    assert len(hushed) - len(stays) in {0, 1}, "each hush ends"


def _objects() -> int:
    gc.collect()
    kept = (logging.LogRecord, dict, list, tuple, str)  # the log is kept by its reader
    return sum(not isinstance(each, kept) for each in gc.get_objects())
