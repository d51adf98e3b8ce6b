"""What tells of an engine besides its rate: prompts, waits, and how fast it comes back."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median

from bench.engine_load import busy_owner, prompt, run_together, streaming
from bench.engine_sides import Piece, Served, Side, asking
from bench.progress import Progress
from bench.token_times import back_after_s, gaps, rate
from mesh.core.chat import Message, Role

LONG_TOKENS = 2000
LONG_CONTEXT_TOKENS = 4096
RUNNING = 4  # streams beside a prompt that arrives
_ANSWER_TOKENS = 16
_SHORT_PROMPTS = 10
_SHORT_TOKENS = 128
_SHORT_WITHIN_S = 10.0  # all of them; fewer on a machine that is too busy for so many
_ANSWER_WITHIN_S = 20.0  # a machine that needs longer is too busy for its figures to say much
_FOLLOW_UP = "And what follows from that for the other desks in the room?"

_ADAPT_QUIET_S = 3.0
_ADAPT_BUSY_S = 5.0
_ADAPT_WITHIN_S = 8.0
_ADAPT_BACK = 0.95
_ADAPT_TIMES = 3


@dataclass(slots=True)
class Prompts:
    """Seconds that one side needed, of every visit."""

    cold_s: list[float] = field(default_factory=list)  # first token of a long chat
    second_turn_s: list[float] = field(default_factory=list)  # of its next turn
    short_s: list[float] = field(default_factory=list)  # of a short chat, one at a time
    gaps_s: list[float] = field(default_factory=list)  # of streams, while a long prompt arrives


async def measure_prompts(side: Side, model: Path, found: Prompts, *, seed: int) -> None:
    """Visit ``side`` once, and add what it needs for prompts to ``found``."""
    async with side.serving(model, slots=RUNNING + 1, context_tokens=LONG_CONTEXT_TOKENS) as served:
        await run_together(served, RUNNING, tokens=32, window_s=2.0, seed=seed + 50)
        began_s = time.perf_counter()
        for number in range(_SHORT_PROMPTS):
            chat = asking(prompt(_SHORT_TOKENS, seed=seed * 100 + number))
            if (heard := await _first(served, chat)) is not None:
                found.short_s.append(heard.after_s)
            if time.perf_counter() > began_s + _SHORT_WITHIN_S:
                break
        await _two_turns(served, found, seed=seed)
        found.gaps_s += await _gaps_beside_a_prompt(served, seed=seed)


async def _two_turns(served: Served, found: Prompts, *, seed: int) -> None:
    chat = asking(prompt(LONG_TOKENS, seed=seed + 3_000_000))
    cold = await _first(served, chat)
    if cold is None:
        return
    more = (*chat, Message(Role.ASSISTANT, cold.text), Message(Role.USER, _FOLLOW_UP))
    second = await _first(served, more)
    if second is not None:
        found.cold_s.append(cold.after_s)
        found.second_turn_s.append(second.after_s)


async def _gaps_beside_a_prompt(served: Served, *, seed: int) -> Sequence[float]:
    prompts = [prompt(64, seed=seed + 4_000_000 + number) for number in range(RUNNING)]
    async with streaming(served, prompts, LONG_TOKENS) as running:
        await running.begun(_ANSWER_WITHIN_S)
        await asyncio.sleep(0.5)  # they decode, all of them
        asked_s = time.perf_counter()
        long = asking(prompt(LONG_TOKENS, seed=seed + 5_000_000))
        await _first(served, long)
        answered_s = time.perf_counter()
        await asyncio.sleep(0.5)  # so that gaps which are open now close
        return gaps(running.times, since_s=asked_s, until_s=answered_s)


@dataclass(frozen=True, slots=True)
class _Heard:
    """A short answer."""

    after_s: float  # its first token
    text: str


async def _first(served: Served, chat: Sequence[Message]) -> _Heard | None:
    """Ask for a short answer; None if it was given up, as it took longer than it may."""
    began_s = time.perf_counter()
    heard: list[Piece] = []
    with suppress(TimeoutError):
        async with (
            asyncio.timeout(_ANSWER_WITHIN_S),
            aclosing(served.answer(chat, _ANSWER_TOKENS)) as pieces,
        ):
            async for piece in pieces:
                heard.append(piece)
            return _Heard(heard[0].at_s - began_s, "".join(each.text for each in heard))
    return None


async def measure_adapting(side: Side, model: Path, progress: Progress) -> float:
    """Return the median time until ``side`` has its quiet rate again when the owner leaves.

    ``_ADAPT_WITHIN_S`` stands for longer than that.
    """
    taken_s = []
    prompts = [prompt(64, seed=6_000_000 + number) for number in range(RUNNING)]
    async with (
        side.serving(model, slots=RUNNING, context_tokens=512) as served,
        # Answers are short and asked for again: a token's cost rises with those before it.
        streaming(served, prompts, 48, again=True) as running,
    ):
        await running.begun(_ANSWER_WITHIN_S)
        await asyncio.sleep(1.0)
        for _ in range(_ADAPT_TIMES):
            taken_s.append(await _back_after_s(running.times, progress))
    return median(taken_s)


async def _back_after_s(times: Sequence[Sequence[float]], progress: Progress) -> float:
    quiet = await _rate_for(times, _ADAPT_QUIET_S)
    async with busy_owner():
        busy = await _rate_for(times, _ADAPT_BUSY_S)
    left_s = now_s = time.perf_counter()
    back_s = None
    while back_s is None and now_s < left_s + _ADAPT_WITHIN_S:
        await asyncio.sleep(0.2)
        now_s = time.perf_counter()
        back_s = back_after_s(times, left_s=left_s, until_s=now_s, wanted=_ADAPT_BACK * quiet)
    told = "not back in time" if back_s is None else f"back after {back_s:.2f} s"
    progress.say(f"owner came and left: {quiet:.0f}, then {busy:.0f} tok/s, {told}")
    return _ADAPT_WITHIN_S if back_s is None else back_s


async def _rate_for(times: Sequence[Sequence[float]], duration_s: float) -> float:
    since_s = time.perf_counter()
    await asyncio.sleep(duration_s)
    return rate(times, since_s=since_s, until_s=since_s + duration_s)


async def logprobs_added_ms(served: Served, *, tokens: int = 48) -> float | None:
    """Return by how much the median token of one stream takes longer with log-probabilities.

    None if the machine is too busy to tell.
    """
    try:
        async with asyncio.timeout(_ANSWER_WITHIN_S):
            return await _logprobs_added_ms(served, tokens)
    except TimeoutError:
        return None


async def _logprobs_added_ms(served: Served, tokens: int) -> float:
    gaps_s: dict[int | None, list[float]] = {None: [], 5: []}
    for turn in range(4):
        wanted = (None, 5)[turn % 2]
        chat = asking(prompt(64, seed=7_000_000 + turn))
        async with aclosing(served.answer(chat, tokens, logprobs=wanted)) as pieces:
            times = [piece.at_s async for piece in pieces]
        # The first few, as what is needed for it is loaded then, once.
        gaps_s[wanted] += (later - earlier for earlier, later in pairwise(times[8:]))
    return (median(gaps_s[5]) - median(gaps_s[None])) * 1000
