"""An engine without a model: it says what it was told, word by word, at a chosen pace.

For benchmarks of what lies around an engine, and for tests of its neighbours. The agent never
chooses it by itself.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from zlib import crc32

from mesh.core.chat import Message, Tool
from mesh.core.embedding import Embeddings
from mesh.core.generation import (
    Alternative,
    Delta,
    Finished,
    Generation,
    GenerationEvent,
    Started,
    TokenLogprob,
)
from mesh.core.signs import TokenSign
from mesh.core.types import Capability, FinishReason, Usage
from mesh.errors import ContextOverflow, NodeLost, Overloaded, Unsupported
from node_agent.engine.checks import refuse_invalid
from node_agent.engine.protocol import EngineInfo

_WORD_IDS = 2**31  # ids are 31 bits, as llama.cpp's


_CAPABILITIES = frozenset({Capability.LOGPROBS, Capability.RESUME})


class EchoEngine:
    """Answers with the words of the last message; a word and its space are one token.

    It is certain of each: log-probabilities are 0, there is no alternative to the word, and its
    sign has no second.

    Args:
        slots: answers at a time; one more is refused as Overloaded.
        context_tokens: words of a prompt and its answer.
        first_token_s: seconds before the first token.
        tokens_per_s: pace of each answer; 0: as fast as they are taken.
    """

    def __init__(
        self,
        *,
        slots: int = 1,
        context_tokens: int = 8192,
        first_token_s: float = 0.0,
        tokens_per_s: float = 0.0,
    ) -> None:
        self._info = EngineInfo(context_tokens, slots, _CAPABILITIES, "echo", 0.0)
        self._first_token_s = first_token_s
        self._token_s = 1 / tokens_per_s if tokens_per_s else 0.0
        self._busy = 0
        self._closed = asyncio.Event()

    @property
    def info(self) -> EngineInfo:
        return self._info

    @property
    def busy(self) -> int:
        """How many slots are taken."""
        return self._busy

    async def generate(self, work: Generation) -> AsyncGenerator[GenerationEvent, None]:
        """See ``Engine``."""
        refuse_invalid(work)
        if self._closed.is_set():
            raise NodeLost("the echo engine is closed")
        if self._busy >= self._info.slots:
            raise Overloaded("the echo engine is busy")
        self._busy += 1
        try:
            async for event in self._echo(work):
                yield event
        finally:
            self._busy -= 1

    async def count_tokens(self, messages: Sequence[Message], tools: Sequence[Tool]) -> int:
        """Return the words of the messages."""
        return sum(len(message.text.split()) for message in messages)

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """See ``Engine``."""
        raise Unsupported("an echo is no vector")

    async def wait_dead(self) -> str:
        """Return once ``close`` was called."""
        await self._closed.wait()
        return "it was closed"

    async def close(self) -> None:
        """End answers in progress with NodeLost, at their next token."""
        self._closed.set()

    async def _echo(self, work: Generation) -> AsyncGenerator[GenerationEvent, None]:
        prompt = [word for message in work.messages for word in message.text.split()]
        room = self._info.context_tokens - len(prompt)
        if room < 1:
            raise ContextOverflow(f"the prompt has {len(prompt)} words")
        words = work.messages[-1].text.split()
        limit = min(work.max_tokens, room)
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        yield Started(tuple(map(_word_id, prompt)), 0, self._info.context_tokens, "echo")
        begun = len(work.resume.emitted_ids) if work.resume else 0
        for offset, word in list(enumerate(words[:limit]))[begun:]:
            await self._until(began_s + self._first_token_s + (offset - begun) * self._token_s)
            yield _said(offset, word, work)
        told = min(limit, len(words))
        reason = FinishReason.LENGTH if limit < len(words) else FinishReason.STOP
        decode_s = max(0.0, loop.time() - began_s - self._first_token_s)
        yield Finished(reason, Usage(len(prompt), 0, told), self._first_token_s, decode_s)

    async def _until(self, due_s: float) -> None:
        """Wait for a point in time rather than for a while, so that no delay adds up."""
        delay_s = due_s - asyncio.get_running_loop().time()
        if delay_s > 0:
            await asyncio.sleep(delay_s)
        if self._closed.is_set():
            raise NodeLost("the echo engine was closed")


def _said(offset: int, word: str, work: Generation) -> Delta:
    text, token = f"{word} ", _word_id(word)
    signs = (TokenSign((1.0,)),) if work.signs else ()
    if work.logprobs is None:
        return Delta(offset, (token,), text, signs=signs)
    alternatives = (Alternative(token, 0.0, text.encode()),)[: work.logprobs]
    told = (TokenLogprob(token, 0.0, text.encode(), alternatives),)
    return Delta(offset, (token,), text, told, signs=signs)


def _word_id(word: str) -> int:
    return crc32(word.encode()) % _WORD_IDS
