"""What an engine takes is what was foretold of it, or less."""

from pathlib import Path

from node_agent.engine.supervisor import EngineProcess
from node_agent.memory import Footprint, missing_memory_bytes
from tests.node_agent.engine.asking import ask, hear

CACHE_BYTES_PER_TOKEN = 8 * 8 * (32 + 32) * 2  # of the slow model: layers, heads, widths, halves


async def test_an_engine_takes_its_slots_and_no_more_than_was_foretold(slow_model: Path) -> None:
    taken = {}
    for slots in (1, 4):
        engine = await EngineProcess.start(slow_model, context_tokens=8192, slots=slots, threads=1)
        await hear(engine, ask("hello"))
        taken[slots] = missing_memory_bytes(engine.pid)
        await engine.close()
    slot_bytes = 8192 * CACHE_BYTES_PER_TOKEN
    footprint = Footprint(slow_model.stat().st_size, slot_bytes)  # noqa: ASYNC240 - of a fixture
    one, four = taken[1], taken[4]
    assert one is not None
    assert four is not None
    assert 0.9 * 3 * slot_bytes < four - one < 1.1 * 3 * slot_bytes
    assert four < footprint.taken_bytes(4)


def test_a_process_that_is_gone_has_no_memory() -> None:
    assert missing_memory_bytes(2**22) is None  # the highest id that Linux gives is one less
