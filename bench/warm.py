"""What a warm prefix cache changes: the next turn of a chat, warm and cold, on the same engine.

What a slot holds of an answer was computed token by token, and a cold prompt is computed in chunks.
Where ggml rounds these otherwise, the next turn may come out otherwise, as it does with any engine
that keeps a cache; this tells how often, and what the cache saves.
"""

from dataclasses import replace
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter

from bench.random_models import SMALL, cached_model
from bench.result import Figures
from mesh.core.chat import Message, Role
from mesh.core.generation import Delta, Generation, Sampling, Started
from node_agent.engine.supervisor import EngineProcess

SLOTS = 2
CHATS = 24
_TURN_CHARACTERS = 120
_ANSWER_TOKENS = 40
_BUNDLED = Path(__file__).parent.parent / "models" / "test-tiny.gguf"


async def measure(short: bool) -> Figures:
    """Play chats on a model of Q8_0 and on one of 16 bits."""
    chats = CHATS // 4 if short else CHATS
    models = {"q8_0": cached_model(SMALL, "q8_0"), "f16": _BUNDLED}
    figures: dict[str, float | int | None] = {"chats": chats}
    for name, path in models.items():
        engine = await EngineProcess.start(path, context_tokens=1024, slots=SLOTS)
        try:
            pairs = [await _play(engine, seed) for seed in range(chats)]
        finally:
            await engine.close()
        figures |= _compare(name, pairs)
    return figures


class _Answer:
    """One answer, and when its first token came."""

    def __init__(self) -> None:
        self.ids: list[int] = []
        self.logprobs: list[float] = []
        self.text = ""
        self.cached_tokens = 0
        self.first_token_s = 0.0


def _compare(name: str, pairs: list[tuple[_Answer, _Answer]]) -> dict[str, float | int | None]:
    same_text = sum(warm.ids == cold.ids for warm, cold in pairs)
    same_bits = sum(warm.logprobs == cold.logprobs for warm, cold in pairs)
    apart = [
        abs(one - other)
        for warm, cold in pairs
        for one, other in zip(warm.logprobs[:1], cold.logprobs[:1], strict=True)
    ]
    saved = median(warm.first_token_s for warm, _ in pairs) / median(
        cold.first_token_s for _, cold in pairs
    )
    return {
        f"same_text_share_{name}": same_text / len(pairs),
        f"same_logprobs_share_{name}": same_bits / len(pairs),
        f"first_logprob_apart_max_{name}": max(apart),
        f"first_token_ratio_{name}": saved,
        f"cached_tokens_{name}": round(median(warm.cached_tokens for warm, _ in pairs)),
    }


async def _play(engine: EngineProcess, seed: int) -> tuple[_Answer, _Answer]:
    """Return the second turn's answer, warm and cold."""
    random = Random(seed)
    sampling = Sampling(temperature=0.8 if seed % 2 else 0.0, seed=seed)
    first = Generation((_said(random),), sampling, _ANSWER_TOKENS, logprobs=0)
    await _forget(engine)
    answered = Message(Role.ASSISTANT, (await _ask(engine, first)).text)
    second = replace(first, messages=(*first.messages, answered, _said(random)))
    warm = await _ask(engine, second)
    await _forget(engine)
    return warm, await _ask(engine, second)


async def _forget(engine: EngineProcess) -> None:
    """Give every slot something else to hold, one after the other: the oldest is taken first."""
    for slot in range(SLOTS):
        other = Message(Role.SYSTEM, chr(ord("A") + slot) * 40)
        await _ask(engine, Generation((other, other), Sampling(temperature=0.0), 1, logprobs=0))


def _said(random: Random) -> Message:
    letters = (chr(random.randrange(97, 123)) for _ in range(_TURN_CHARACTERS))
    return Message(Role.USER, "".join(letters))


async def _ask(engine: EngineProcess, work: Generation) -> _Answer:
    answer, began_s = _Answer(), perf_counter()
    async for event in engine.generate(work):
        match event:
            case Started():
                answer.cached_tokens = event.cached_tokens
            case Delta():
                answer.first_token_s = answer.first_token_s or perf_counter() - began_s
                answer.ids += event.ids
                answer.text += event.text
                answer.logprobs += [told.logprob for told in event.logprobs]
    return answer
