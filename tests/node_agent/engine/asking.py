"""Short ways to ask an engine and to hear all of its answer."""

import asyncio
from dataclasses import dataclass, field

from mesh.core.chat import Message, Role, ToolCall
from mesh.core.generation import Delta, Finished, Generation, Sampling, Started, TokenLogprob
from mesh.core.signs import TokenSign
from node_agent.engine.protocol import Engine
from node_agent.engine.supervisor import EngineProcess

GREEDY = Sampling(temperature=0)


def ask(
    text: str,
    *,
    max_tokens: int = 16,
    sampling: Sampling = GREEDY,
    stop: tuple[str, ...] = (),
    logprobs: int | None = None,
    signs: bool = False,
) -> Generation:
    """Return the work that a user's message makes."""
    message = Message(Role.USER, text)
    return Generation((message,), sampling, max_tokens, stop, logprobs, signs=signs)


@dataclass(slots=True)
class Heard:
    """A whole answer, with the promises of every stream checked on the way."""

    started: Started
    finished: Finished
    deltas: list[Delta] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(delta.text for delta in self.deltas)

    @property
    def ids(self) -> tuple[int, ...]:
        return tuple(token for delta in self.deltas for token in delta.ids)

    @property
    def reasoning(self) -> str:
        return "".join(delta.reasoning for delta in self.deltas)

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        return tuple(call for delta in self.deltas for call in delta.tool_calls)

    @property
    def logprobs(self) -> tuple[TokenLogprob, ...]:
        return tuple(told for delta in self.deltas for told in delta.logprobs)

    @property
    def signs(self) -> tuple[TokenSign, ...]:
        return tuple(sign for delta in self.deltas for sign in delta.signs)


async def forget(engine: EngineProcess, *, characters: int = 300) -> None:
    """Leave nothing of earlier questions in any slot: an answer shall not depend on the cache."""
    slots = range(engine.info.slots)
    await asyncio.gather(
        *(hear(engine, ask(chr(33 + s) * characters, max_tokens=1)) for s in slots)
    )


async def hear(engine: Engine, work: Generation) -> Heard:
    """Return the whole answer to ``work``."""
    events = [event async for event in engine.generate(work)]
    started, *deltas, finished = events
    assert isinstance(started, Started)
    assert isinstance(finished, Finished)
    heard = Heard(started, finished)
    before = len(work.resume.emitted_ids) if work.resume else 0
    for delta in deltas:
        assert isinstance(delta, Delta)
        assert delta.token_offset == before + len(heard.ids)
        told = () if work.logprobs is None else delta.ids
        assert tuple(each.id for each in delta.logprobs) == told
        assert len(delta.signs) == (len(delta.ids) if work.signs else 0)
        heard.deltas.append(delta)
    usage = finished.usage
    assert usage.prompt_tokens == len(started.prompt_ids)
    assert usage.cached_tokens == started.cached_tokens
    assert usage.completion_tokens == before + len(heard.ids)
    return heard
