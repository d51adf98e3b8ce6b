"""Decode rates of every side, at each number of streams, quiet and beside a busy owner."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

from bench.engine_load import Together, busy_owner, run_together
from bench.engine_sides import Side
from bench.memory_use import resident_mb
from bench.progress import Progress

STREAMS = (1, 4, 16)
# Of one answer. They take 1.5 to 3 seconds at the rates of two quiet cores (129, 228, 373 tok/s),
# and are as many on every side: a token costs more the more are before it.
TOKENS = {1: 192, 4: 128, 16: 64}
WINDOW_S = 4.0  # a side that has collapsed is not waited for
WARM_UP_TOKENS = 32
WARM_UP_S = 2.0  # caches fill, and an engine that follows the machine's load has followed it
CONTEXT_TOKENS = 1024
SLOTS = max(STREAMS)
_COLLAPSED = 0.25  # of the best
_VISIT_S = 45.0  # the most that one side needs for all numbers of streams


@dataclass(frozen=True, slots=True)
class Case:
    """One cell: who, how many, and whether the owner works."""

    side: str
    streams: int
    busy: bool


@dataclass(slots=True)
class Matrix:
    """Whatever was measured, of every round."""

    rates: defaultdict[Case, list[Together]] = field(default_factory=lambda: defaultdict(list))
    memory_mb: dict[str, float] = field(default_factory=dict)

    def decode(self, side: str, streams: int, *, busy: bool) -> float | None:
        """Return the mean rate of a case in tokens a second, None if it was not measured."""
        found = self.rates.get(Case(side, streams, busy))
        return fmean(each.decode for each in found) if found else None

    def end_to_end(self, side: str, streams: int, *, busy: bool) -> float | None:
        """Return the same with the prompts."""
        found = self.rates.get(Case(side, streams, busy))
        return fmean(each.end_to_end for each in found) if found else None

    def best(self, sides: Sequence[str], streams: int, *, busy: bool) -> float | None:
        """Return the rate of the fastest of ``sides``; None unless all of them were measured."""
        rates = [self.decode(side, streams, busy=busy) for side in sides]
        known = [rate for rate in rates if rate is not None]
        return max(known) if len(known) == len(rates) else None

    def collapsed(self, side: str, *, busy: bool) -> bool:
        """Whether a side was, at each number of streams, far from the best of all that are known.

        It takes the most time, and another round would not make it anybody's best.
        """
        rates = {case: fmean(each.decode for each in found) for case, found in self.rates.items()}
        best = {
            streams: max(
                (rate for at, rate in rates.items() if (at.streams, at.busy) == (streams, busy)),
                default=0.0,
            )
            for streams in STREAMS
        }
        return all(
            rates.get(Case(side, streams, busy), best[streams]) < _COLLAPSED * best[streams]
            for streams in STREAMS
        )


async def measure_round(  # noqa: PLR0913 - what is measured, and how
    matrix: Matrix,
    sides: Sequence[Side],
    model: Path,
    progress: Progress,
    *,
    seed: int,
    reserved_s: float = 0.0,
    unless_collapsed: Sequence[str] = (),
) -> None:
    """Measure every side once, in this order, with a quiet owner and with a busy one.

    As many as there is time for, so that ``reserved_s`` are left for others; and those of
    ``unless_collapsed`` only where an earlier round says that they might be somebody's best.
    """
    for busy in (False, True):
        load = "busy" if busy else "quiet"
        for side in sides:
            if side.name in unless_collapsed and matrix.collapsed(side.name, busy=busy):
                continue
            if not progress.allows(f"{side.name}, {load}", _VISIT_S + reserved_s):
                continue
            async with AsyncExitStack() as owner:
                if busy:
                    await owner.enter_async_context(busy_owner())
                rates = await _visit(matrix, side, model, busy=busy, seed=seed)
            told = " / ".join(f"{rate.decode:.0f}" for rate in rates)
            numbers = " / ".join(map(str, STREAMS))
            progress.say(f"{load}, {numbers} streams: {told} tok/s by {side.name}")


async def _visit(
    matrix: Matrix, side: Side, model: Path, *, busy: bool, seed: int
) -> list[Together]:
    rates = []
    async with side.serving(model, slots=SLOTS, context_tokens=CONTEXT_TOKENS) as served:
        await run_together(served, SLOTS, tokens=WARM_UP_TOKENS, window_s=WARM_UP_S, seed=seed + 50)
        for streams in STREAMS:
            rates.append(
                await run_together(
                    served,
                    streams,
                    tokens=TOKENS[streams],
                    window_s=WINDOW_S,
                    seed=seed + streams,
                )
            )
            matrix.rates[Case(side.name, streams, busy)].append(rates[-1])
        matrix.memory_mb[side.name] = resident_mb(served.pid)
    return rates


def ratios(
    matrix: Matrix, ours: str, plain: str, settings: Sequence[str]
) -> Mapping[str, float | None]:
    """Return the figures of the comparison: ours by theirs, as it comes and at its best."""
    figures: dict[str, float | None] = {}
    for busy, load in ((False, "quiet"), (True, "busy")):
        for streams in STREAMS:
            rate = matrix.decode(ours, streams, busy=busy)
            as_it_comes = matrix.decode(plain, streams, busy=busy)
            best = matrix.best(settings, streams, busy=busy)
            figures[f"ratio_{load}_{streams}"] = ratio(rate, as_it_comes)
            figures[f"ratio_{load}_best_{streams}"] = ratio(rate, best)
    return figures


def ratio(ours: float | None, theirs: float | None) -> float | None:
    """Return ours by theirs; None where either is unknown.

    A side that gave no token while it was watched is taken to have given one.
    """
    if ours is None or theirs is None:
        return None
    return ours / max(theirs, 1 / WINDOW_S)
