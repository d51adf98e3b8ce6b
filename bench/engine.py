"""Our engine against llama.cpp's own server and llama-cpp-python's, on the same model files.

Every side is a process of its own, made anew for each visit, with all of the machine's threads;
sides take turns in one run, and the second round goes backwards, so that a machine which slows
down wrongs nobody. What the contract names comes first; the rest is left out, and said to be, when
the time is up: a busy machine gives fewer figures, not a longer run.
"""

import os
import re
from pathlib import Path
from statistics import fmean, median

import psutil

from bench.engine_cases import (
    LONG_TOKENS,
    Prompts,
    logprobs_added_ms,
    measure_adapting,
    measure_prompts,
)
from bench.engine_load import ask_together, run_together
from bench.engine_matrix import STREAMS, TOKENS, WINDOW_S, Matrix, measure_round, ratio, ratios
from bench.engine_rivals import (
    LlamaCppPython,
    LlamaServer,
    check_rivals_installed,
    static_settings,
)
from bench.engine_sides import Ours, Side
from bench.progress import Progress
from bench.random_models import MEDIUM, SMALL, Shape, cached_model
from bench.result import Figures, percentile

LIMIT_S = 570.0  # ten minutes, with the last thing begun also ended
PROMPT_TURNS = 2
OTHERS_PERCENT_MAX = 5.0  # of all cores; the sides' rates differ by more than so little can do

# The most that one of them takes on a machine that is busy with other things.
_ADAPT_S = 55.0
_PROMPTS_S = 60.0
_PYTHON_S = 50.0
_CONTRACT_S = _ADAPT_S + 2 * _PROMPTS_S + _PYTHON_S

PYTHON_STREAMS = 8  # against llama-cpp-python, which serves one at a time
PYTHON_TOKENS = 64
PYTHON_WITHIN_S = 15.0

OTHER_MODELS = ((MEDIUM, "q4_0"), (MEDIUM, "q8_0"), (SMALL, "q4_0"))  # what tells most first
OTHER_STREAMS = (1, 16)
_MODEL_S = 60.0  # the most that both sides need for one of them, beside other programs

_PROMPT_FIGURES = (
    "prefix_first_token_ratio",
    "stall_ms_p99",
    "prefill_tokens_per_s",
    "first_token_ms_p50",
    "first_token_ms_p99",
)

OURS = Ours()
PLAIN = LlamaServer()


async def measure(short: bool) -> Figures:
    """Measure all that the contract names, then what there is time for."""
    check_rivals_installed()
    progress = Progress(LIMIT_S)
    others = _OtherPrograms()
    model = cached_model(SMALL, "q8_0")
    sides: tuple[Side, ...] = (OURS, *await static_settings())
    matrix = Matrix()
    await measure_round(matrix, sides, model, progress, seed=1, reserved_s=_CONTRACT_S)
    round_s = progress.taken_s
    figures = await _contract_cases(model, progress)
    rounds = 1
    if not short and progress.allows("a second round of the rates", round_s):
        optional = [side.name for side in sides if side not in (OURS, PLAIN)]
        await measure_round(
            matrix, sides[::-1], model, progress, seed=200, unless_collapsed=optional
        )
        rounds = 2
    more = {} if short else await _other_models(progress)
    if (busy_percent := others.cpu_percent()) > OTHERS_PERCENT_MAX:
        progress.say(
            f"other programs took {busy_percent:.0f} % of this machine: no figure is a quiet one's"
        )
    return {
        **ratios(matrix, OURS.name, PLAIN.name, [side.name for side in sides[1:]]),
        **figures,
        **_rates(matrix),
        **more,
        "rounds": rounds,
        "took_s": progress.taken_s,
        "others_cpu_percent": busy_percent,
    }


async def _contract_cases(model: Path, progress: Progress) -> dict[str, float | None]:
    """Measure everything but the matrix; sides take turns."""
    adapt_s = python = None
    if progress.allows("how fast it comes back", _ADAPT_S):
        adapt_s = await measure_adapting(OURS, model, progress)
    found = {side.name: Prompts() for side in (OURS, PLAIN)}
    for turn in range(PROMPT_TURNS):
        for side in (OURS, PLAIN):
            if progress.allows(f"long prompts, {side.name}", _PROMPTS_S):
                await measure_prompts(side, model, found[side.name], seed=turn + 1)
                progress.say(_prompts_told(side, found[side.name]))
    if progress.allows("llama-cpp-python", _PYTHON_S):
        python = await _ratio_llama_cpp_python(model, progress)
    return {
        "ratio_llama_cpp_python_8": python,
        **_prompt_figures(found[OURS.name], ""),
        "adapt_s": adapt_s,
        **_prompt_figures(found[PLAIN.name], "rival_"),
    }


def _prompts_told(side: Side, found: Prompts) -> str:
    if not found.cold_s:
        return f"a chat of {LONG_TOKENS} tokens: given up, this machine is too busy; by {side.name}"
    return (
        f"a chat of {LONG_TOKENS} tokens: first token after {found.cold_s[-1]:.2f} s, in its next "
        f"turn after {found.second_turn_s[-1]:.2f} s; while one arrives, streams wait up to "
        f"{max(found.gaps_s, default=0.0):.2f} s by {side.name}"
    )


def _prompt_figures(found: Prompts, prefix: str) -> dict[str, float | None]:
    figures: dict[str, float | None] = dict.fromkeys(_PROMPT_FIGURES)
    if found.cold_s:
        figures["prefix_first_token_ratio"] = median(found.second_turn_s) / median(found.cold_s)
        figures["prefill_tokens_per_s"] = LONG_TOKENS / median(found.cold_s)
    if found.gaps_s:
        figures["stall_ms_p99"] = percentile(found.gaps_s, 99) * 1000
    if found.short_s:
        figures["first_token_ms_p50"] = percentile(found.short_s, 50) * 1000
        figures["first_token_ms_p99"] = percentile(found.short_s, 99) * 1000
    return {prefix + key: value for key, value in figures.items()}


async def _ratio_llama_cpp_python(model: Path, progress: Progress) -> float | None:
    """Return ours by theirs, from the asking to the last token of eight answers."""
    sides: tuple[Side, ...] = (OURS, LlamaCppPython())
    rates: dict[str, list[float]] = {side.name: [] for side in sides}
    for turn in range(2):
        if turn and not progress.allows("llama-cpp-python again", _PYTHON_S):
            break
        for side in sides:
            async with side.serving(model, slots=PYTHON_STREAMS, context_tokens=1024) as served:
                await ask_together(served, 1, tokens=16, within_s=5.0, seed=turn + 300)
                rate = await ask_together(
                    served,
                    PYTHON_STREAMS,
                    tokens=PYTHON_TOKENS,
                    within_s=PYTHON_WITHIN_S,
                    seed=turn + 310,
                )
            rates[side.name].append(rate)
            progress.say(f"8 answers: {rate:.0f} tok/s in all by {side.name}")
    ours, theirs = (fmean(rates[side.name]) for side in sides)
    return ratio(ours, theirs)


async def _other_models(progress: Progress) -> dict[str, float | None]:
    """Compare on other files too, as long as there is time."""
    figures: dict[str, float | None] = {}
    for shape, type_name in OTHER_MODELS:
        name = f"{shape.name}_{type_name}"
        if progress.allows(name, _MODEL_S):
            figures |= await _other_model(shape, type_name, progress)
        else:
            figures |= {f"ratio_quiet_{streams}_{name}": None for streams in OTHER_STREAMS}
    return figures


async def _other_model(shape: Shape, type_name: str, progress: Progress) -> dict[str, float | None]:
    model = cached_model(shape, type_name)
    name = f"{shape.name}_{type_name}"
    rates: dict[tuple[str, int], float] = {}
    figures: dict[str, float | None] = {}
    for side, prefix in ((OURS, ""), (PLAIN, "rival_")):
        async with side.serving(model, slots=max(OTHER_STREAMS), context_tokens=512) as served:
            await run_together(served, 4, tokens=8, window_s=2.0, seed=400)
            for streams in OTHER_STREAMS:
                together = await run_together(
                    served, streams, tokens=TOKENS[streams], window_s=WINDOW_S, seed=400 + streams
                )
                rates[side.name, streams] = together.decode
            if (shape, type_name) == OTHER_MODELS[0]:
                key = f"{prefix}logprobs_added_ms_152k"
                figures[key] = await logprobs_added_ms(served)
        told = " / ".join(f"{rates[side.name, streams]:.0f}" for streams in OTHER_STREAMS)
        numbers = " / ".join(map(str, OTHER_STREAMS))
        progress.say(f"{name}, quiet, {numbers} streams: {told} tok/s by {side.name}")
    for streams in OTHER_STREAMS:
        found = ratio(rates[OURS.name, streams], rates[PLAIN.name, streams])
        figures[f"ratio_quiet_{streams}_{name}"] = found
    return figures


def _rates(matrix: Matrix) -> dict[str, float | None]:
    """Return what the ratios are made of, in tokens a second and megabytes."""
    figures: dict[str, float | None] = {}
    for side in matrix.memory_mb:
        key = "_".join(re.findall(r"\w+", side))
        for busy, load in ((False, "quiet"), (True, "busy")):
            for streams in STREAMS:
                rate = matrix.decode(side, streams, busy=busy)
                figures[f"tokens_per_s_{load}_{streams}_{key}"] = rate
    for streams in STREAMS:
        ours, theirs = (
            matrix.end_to_end(side, streams, busy=False) for side in (OURS.name, PLAIN.name)
        )
        figures[f"ratio_end_to_end_quiet_{streams}"] = ratio(ours, theirs)
    return {
        **figures,
        "memory_mb": matrix.memory_mb.get(OURS.name),
        "rival_memory_mb": matrix.memory_mb.get(PLAIN.name),
    }


class _OtherPrograms:
    """How busy this machine was with what is not ours: figures of a busy one are worth less."""

    def __init__(self) -> None:
        self._began = self._now()

    def cpu_percent(self) -> float:
        """Return what others took of all cores since then; our children must have ended."""
        began, now = self._began, self._now()
        everybody, idle, ours = (after - before for before, after in zip(began, now, strict=True))
        return 100.0 * max(0.0, everybody - idle - ours) / everybody

    def _now(self) -> tuple[float, float, float]:
        machine, ours = psutil.cpu_times(), os.times()
        idle = machine.idle + getattr(machine, "iowait", 0.0)
        used = ours.user + ours.system + ours.children_user + ours.children_system
        # What guests of this machine run counts as the time of their hosts already.
        everybody = sum(machine) - getattr(machine, "guest", 0.0)
        return everybody - getattr(machine, "guest_nice", 0.0), idle, used
