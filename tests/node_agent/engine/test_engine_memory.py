"""An engine takes what was foretold of it, measured in its own process after use."""

import sys
from pathlib import Path

import pytest

from bench.fits import Case, percent_off, take
from bench.fits_models import Made
from node_agent.memory import missing_memory_bytes

# Bounds for machines that are busy: `python -m bench fits` has what a quiet one does.
PERCENT_MAX = 15.0

REPACKED = Made(
    name="repacked", type_name="Q4_0", width=512, layers=4, feed_forward=1024, words=4_000
)
MIXTURE = Made(
    name="mixture", architecture="qwen3moe", type_name="Q8_0", layers=4, experts=8,
    experts_used=2, feed_forward=256, words=4_000,
)  # fmt: skip


@pytest.mark.skipif(sys.platform != "linux", reason="it tells pages of a file from others")
@pytest.mark.parametrize(
    "case",
    [Case("test-tiny", 4, 512), Case("test-large", 1, 512), Case(REPACKED, 2, 2048, used=0.5),
     Case(MIXTURE, 4, 2048, used=0.5)],
    ids=lambda case: case.name,
)  # fmt: skip
async def test_what_is_foretold_is_what_it_takes(case: Case, tmp_path: Path) -> None:
    told, resident, own = await take(case, tmp_path)
    for foretold, taken in ((told.resident, resident), (told.own, own)):
        assert percent_off(foretold, taken) > -PERCENT_MAX
        # A busy machine reads prompts in shorter chunks, which fill less of the buffer.
        assert percent_off(foretold - told.compute, taken) < PERCENT_MAX


async def test_more_slots_take_as_much_more_as_was_foretold(tmp_path: Path) -> None:
    one, _, own_one = await take(Case(MIXTURE, 1, 4096, used=0.1), tmp_path)
    eight, _, own_eight = await take(Case(MIXTURE, 8, 4096, used=0.1), tmp_path)
    assert abs(percent_off(eight.own - one.own, own_eight - own_one)) < PERCENT_MAX


def test_a_process_that_is_gone_has_no_memory() -> None:
    assert missing_memory_bytes(2**22) is None  # the highest id that Linux gives is one less
