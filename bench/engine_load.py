"""Streams that run together on one side, and the owner's program beside them."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from random import Random

from bench.engine_sides import Served, asking
from bench.token_times import rate

# A side that starves is measured as it is. Sixteen prompts, 290 tokens, took one thread 2.4
# seconds of a machine at its limits (120 tok/s).
_OPEN_WITHIN_S = 6.0
_END_WITHIN_S = 1.0  # streams of one length end nearly together, but for a side with a queue
_PROMPT_TOKENS = 12  # rates are those of the answers; the model's template adds six
_WINDOW_MIN_S = 0.3  # a shorter one, where a stream ended before another began, is chance
_INCLUDED_S = 1e-6  # bounds exclude their end, and the last token counts
_WORDS = ("node", "mesh", "desk", "model", "route", "token", "cache", "slot", "rung", "site")


@dataclass(frozen=True, slots=True)
class Together:
    """What streams that ran together came to, in tokens a second of all of them."""

    decode: float  # while every one of them had begun and none had ended
    end_to_end: float  # from the asking to the last token, so with the prompts


async def run_together(
    served: Served, streams: int, *, tokens: int, window_s: float, seed: int
) -> Together:
    """Ask for ``streams`` answers at once, of ``tokens`` each, and watch them for a while.

    The window opens when every stream has its first token, and closes when one ends, or after
    ``window_s``.
    """
    async with streaming(served, _prompts(streams, seed), tokens) as running:
        began_s = time.perf_counter()
        await running.begun(_OPEN_WITHIN_S)
        opened_s = time.perf_counter()
        await running.some_ended(window_s)
        closed_s = time.perf_counter()
        await running.all_ended(_END_WITHIN_S)
        times = running.times
        last_s = max((each[-1] for each in times if each), default=closed_s)
    if closed_s - opened_s < _WINDOW_MIN_S:
        opened_s = began_s
    return Together(
        rate(times, since_s=opened_s, until_s=closed_s),
        rate(times, since_s=began_s, until_s=max(last_s, closed_s)),
    )


async def ask_together(
    served: Served, streams: int, *, tokens: int, within_s: float, seed: int
) -> float:
    """Ask for ``streams`` answers at once, and wait until all are whole or the time is up.

    Returns their tokens a second from the asking to the last of them: right for a side that has
    one answer wait for another.
    """
    async with streaming(served, _prompts(streams, seed), tokens) as running:
        began_s = time.perf_counter()
        await running.all_ended(within_s)
        last_s = max((each[-1] for each in running.times if each), default=began_s + within_s)
        return rate(running.times, since_s=began_s, until_s=last_s + _INCLUDED_S)


class Streaming:
    """Answers that are being read, each by a task."""

    def __init__(self, tasks: Sequence["asyncio.Task[None]"], times: list[list[float]]) -> None:
        self.times = times  # of each stream's tokens
        self._tasks = tasks
        self._first = asyncio.Event()

    def heard(self) -> None:
        if all(self.times):
            self._first.set()

    async def begun(self, within_s: float) -> bool:
        """Wait until every stream has a token; whether they have."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._first.wait()
        self._raise_failures()
        return self._first.is_set()

    async def some_ended(self, within_s: float) -> None:
        """Wait until a stream has ended."""
        await asyncio.wait(self._tasks, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
        self._raise_failures()

    async def all_ended(self, within_s: float) -> None:
        """Wait until all streams have ended."""
        await asyncio.wait(self._tasks, timeout=within_s)
        self._raise_failures()

    def _raise_failures(self) -> None:
        for task in self._tasks:
            if task.done():
                task.result()


@asynccontextmanager
async def streaming(
    served: Served, prompts: Sequence[str], tokens: int, *, again: bool = False
) -> AsyncIterator[Streaming]:
    """Read an answer to each prompt; on leaving, those that go on are given up.

    ``again``: ask the same once more whenever an answer is over, until then.
    """
    times: list[list[float]] = [[] for _ in prompts]

    async def read(prompt: str, heard: list[float]) -> None:
        while True:
            async with aclosing(served.answer(asking(prompt), tokens)) as pieces:
                async for piece in pieces:
                    heard.extend([piece.at_s] * piece.tokens)
                    running.heard()
            if not again:
                return

    tasks = [
        asyncio.create_task(read(each, heard)) for each, heard in zip(prompts, times, strict=True)
    ]
    running = Streaming(tasks, times)
    try:
        yield running
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def busy_owner() -> AsyncIterator[None]:
    """Keep one core busy with a program of somebody else's."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.spinner", stdin=asyncio.subprocess.PIPE
    )
    try:
        yield
    finally:
        process.kill()
        await process.wait()


def _prompts(streams: int, seed: int) -> list[str]:
    return [prompt(_PROMPT_TOKENS, seed=seed * 1000 + number) for number in range(streams)]


def prompt(tokens: int, *, seed: int) -> str:
    """Return words of so many tokens, one for each letter; another seed differs from the start."""
    random = Random(seed)
    words = f"{random.getrandbits(32):08x}"
    while len(words) < tokens:
        words += " " + random.choice(_WORDS)
    return words[:tokens]
