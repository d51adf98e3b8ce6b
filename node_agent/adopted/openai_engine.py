"""The ``Engine`` that asks another engine of this machine, as OpenAI's clients do.

It has no ``RESUME``: no ids come, so an answer of it is continued by nobody, and it continues none.
Each answer is a connection of its own, and ends with it: closing the iterator closes it at once,
by which every engine that was looked at notices that nobody listens any more.

An answer is whole once the engine has said why it ended. Whatever ends before that, also by a
``[DONE]`` without a reason, is a failure and never an answer.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from math import inf

import httpx2

from mesh.chat_api.checked import Json, read_object
from mesh.chat_api.content import to_json
from mesh.chat_api.event_stream import EventStream
from mesh.chat_api.patience import Patience, sign_of_life
from mesh.chat_api.refusals import OK, told_s
from mesh.chat_api.response import check_kind, refusal_body
from mesh.core.chat import Message, Tool
from mesh.core.embedding import Embeddings
from mesh.core.generation import Generation, GenerationEvent, Started
from mesh.core.types import Capability
from mesh.errors import ContextOverflow, MeshError, NodeLost, Overloaded, Unsupported
from node_agent.adopted.answer import AdoptedAnswer
from node_agent.adopted.asking import chat_body
from node_agent.adopted.counting import tokens_of
from node_agent.adopted.crowd import Crowd
from node_agent.adopted.density import Density
from node_agent.adopted.described import Described
from node_agent.adopted.kinds import CHAT_PATH, EMBEDDINGS_PATH, Kind
from node_agent.adopted.processes import LATELY_S
from node_agent.adopted.refused import (
    BUSY,
    GONE,
    RETRY_AFTER_DEFAULT_S,
    RETRY_AFTER_MAX_S,
    in_its_name,
    refused,
)
from node_agent.adopted.vectors import VECTORS_BYTES_MAX, read_vectors
from node_agent.engine.checks import refuse_invalid, refuse_invalid_texts
from node_agent.engine.protocol import EngineInfo

ANSWER_BYTES_MAX = 64 * 1024 * 1024  # a chunk of 300 bytes for each of 200,000 tokens
WHOLE_BYTES_MAX = 16 * 1024 * 1024  # of a prompt's tokens, each as a number: a million of them
# Models that see cut a picture into 256 (Gemma 3) to some 1,600 tokens (Llama 3.2), or by its size.
IMAGE_TOKENS = 1600
CONTEXT_UNTOLD = 4096  # of an engine that says nothing; it refuses what it cannot take
PATIENCE = Patience(connect_s=5.0, first_token_s=300.0, chunk_s=60.0)


@dataclass(slots=True)
class OpenAiEngine:
    """One model of an engine that runs already. ``told`` is replaced as the engine is looked at.

    Args:
        name: of the engine, with its version.
        doubted: is called when an answer says that the model, or the engine, may be gone.
        changed: is called when how many answers there may be is another number.
    """

    kind: Kind
    name: str
    told: Described
    client: httpx2.AsyncClient
    doubted: Callable[[], None] = lambda: None
    changed: Callable[[], None] = lambda: None
    patience: Patience = PATIENCE
    crowd: Crowd = field(default_factory=Crowd)
    density: Density = field(default_factory=Density)
    processes: tuple[int, ...] = ()  # that are known to work for it, on this machine
    _worked_s: float = -inf  # when it last answered, on the event loop's clock
    _resting: asyncio.TimerHandle | None = None  # it said that it is busy, and for how long
    _closed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def info(self) -> EngineInfo:
        return EngineInfo(
            self.told.context_tokens or CONTEXT_UNTOLD,
            self.crowd.slots,
            self.told.capabilities,
            numerics="",  # it does not tell what its rounding depends on
            load_s=0.0,
        )

    @property
    def lately(self) -> bool:
        """Does it answer us, or did it just now?"""
        now_s = asyncio.get_running_loop().time()
        return self.crowd.running > 0 or now_s < self._worked_s + LATELY_S

    @property
    def resting(self) -> bool:
        """Has it said that it takes nothing for the moment?"""
        return self._resting is not None

    async def generate(self, work: Generation) -> AsyncGenerator[GenerationEvent, None]:
        """See ``Engine``.

        Raises:
            NodeLost: it is out of reach, was silent, broke off or sent what is no answer.
        """
        refuse_invalid(work)
        self._check(work)
        body = chat_body(work, kind=self.kind, model=self.told.name)
        clock = asyncio.get_running_loop().time
        images = _images(work)
        likely_tokens = self.density.likely_tokens(_prompt_bytes(work)) + images * IMAGE_TOKENS
        try:
            async with self._taking_part() as beside:
                answer = AdoptedAnswer(clock, likely_tokens, work.logprobs, self.told.loaded)
                by_s = answer.asked_s + self.patience.first_token_s
                async with self._answering(CHAT_PATH, body, by_s) as response:
                    check_kind(response)
                    yield Started((), 0, self.info.context_tokens, "")
                    async for told in self._told(response, answer, by_s):
                        first = not answer.tokens
                        for delta in answer.take(told):
                            if first and answer.was_loaded:
                                self.crowd.began(clock() - answer.asked_s, beside)
                            yield delta
        except (MeshError, httpx2.HTTPError) as failure:
            raise self._meant(failure) from None
        finished = answer.finished()
        if not finished.usage.estimated and not images:
            self.density.learn(_prompt_bytes(work), finished.usage.prompt_tokens)
        yield finished

    async def count_tokens(self, messages: Sequence[Message], tools: Sequence[Tool]) -> int:
        """See ``Engine``. Takes no slot there either: a tokenizer works beside the answers.

        Raises:
            Unsupported: it has no path for it, or would load the model for it.
        """
        if not self.told.counts:
            raise Unsupported(
                f"{self.name} counts no tokens for others",
                hint="ask a model that deskmesh runs itself",
            )
        try:
            return await tokens_of(self._post, self.kind, self.told.name, messages, tools)
        except (MeshError, httpx2.HTTPError) as failure:
            raise self._meant(failure) from None

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """See ``Engine``."""
        refuse_invalid_texts(texts)
        if Capability.EMBED not in self.told.capabilities:
            raise Unsupported(
                f"{self.told.name} writes text, and embeds none", hint="ask an embedding model"
            )
        asked = {"model": self.told.name, "input": list(texts), "encoding_format": "float"}
        try:
            async with self._taking_part():
                body = await self._whole(EMBEDDINGS_PATH, asked, VECTORS_BYTES_MAX)
            return read_vectors(body, len(texts))
        except (MeshError, httpx2.HTTPError) as failure:
            raise self._meant(failure) from None

    async def wait_dead(self) -> str:
        """Return once it was let go of. Whether the engine runs, whoever looks at it knows."""
        await self._closed.wait()
        return "it is no longer adopted"

    async def close(self) -> None:
        """Let go of it. What it is asked just now, it may still answer."""
        self._closed.set()
        self._rest(None)

    def _check(self, work: Generation) -> None:
        if Capability.EMBED in self.told.capabilities:
            raise Unsupported(
                f"{self.told.name} embeds text, and writes none", hint="ask another model"
            )
        if work.resume is not None:
            raise Unsupported(f"{self.name} cannot go on with an answer that was begun elsewhere")
        tokens = self.density.tokens_at_worst(_prompt_bytes(work)) + _images(work) * IMAGE_TOKENS
        if self.kind is Kind.OLLAMA and tokens > self.info.context_tokens:
            # It would cut the beginning off without a word, and answer to the rest.
            raise ContextOverflow(
                f"the prompt has some {tokens} tokens, and {self.name} gives {self.told.name} a "
                f"context of {self.info.context_tokens}",
                hint="shorten it, or set OLLAMA_CONTEXT_LENGTH where Ollama runs",
            )

    @asynccontextmanager
    async def _taking_part(self) -> AsyncIterator[int]:
        """Be one of those that are answered; yields how many they are."""
        beside = self.crowd.begin()
        before = self.crowd.slots
        try:
            yield beside
        finally:
            self.crowd.end()
            self._worked_s = asyncio.get_running_loop().time()
            if self.crowd.slots != before:
                self.changed()

    @asynccontextmanager
    async def _answering(
        self, path: str, body: bytes, by_s: float
    ) -> AsyncIterator[httpx2.Response]:
        """Send it, and yield a response of status 200. Leaving closes the connection.

        Raises:
            MeshError: it refused, or said nothing until ``by_s``.
        """
        headers = {"content-type": "application/json"}
        timeout = httpx2.Timeout(None, connect=self.patience.connect_s)
        request = self.client.build_request(
            "POST", path, content=body, headers=headers, timeout=timeout
        )
        async with sign_of_life(by_s):
            response = await self.client.send(request, stream=True)
        try:
            if response.status_code != OK:
                raise await self._refused(response)
            yield response
        finally:
            await response.aclose()

    async def _post(self, path: str, asked: Json) -> Json:
        body = await self._whole(path, asked, WHOLE_BYTES_MAX)
        return read_object(body.decode(errors="replace"))

    async def _whole(self, path: str, asked: Json, size_bytes_max: int) -> bytes:
        """Return the whole answer to ``asked``.

        Raises:
            MeshError: it refused, was silent, or sent more than ``size_bytes_max``.
        """
        by_s = asyncio.get_running_loop().time() + self.patience.first_token_s
        body = bytearray()
        async with self._answering(path, to_json(asked), by_s) as response, sign_of_life(by_s):
            async for part in response.aiter_raw():
                body += part
                if len(body) > size_bytes_max:
                    raise NodeLost(f"the upstream sent more than {size_bytes_max} bytes")
        return bytes(body)

    async def _told(
        self, response: httpx2.Response, answer: AdoptedAnswer, by_s: float
    ) -> AsyncGenerator[list[str], None]:
        """Yield events until the answer is whole, and its usage was told or is not to be had.

        Raises:
            MeshError, httpx2.HTTPError: it was not whole.
        """
        clock = asyncio.get_running_loop().time
        stream, size_bytes, parts = EventStream(), 0, response.aiter_raw()
        while not answer.done:
            whole, tokens = answer.reason is not None, answer.tokens
            try:
                async with sign_of_life(by_s):
                    part = await anext(parts, None)
            except (MeshError, httpx2.HTTPError):
                if whole:  # what broke is the rest, which would have told its usage
                    return
                raise
            if part is None:
                break
            size_bytes += len(part)
            if size_bytes > ANSWER_BYTES_MAX:
                raise NodeLost(f"the upstream sent more than {ANSWER_BYTES_MAX} bytes")
            yield stream.feed(part)
            if answer.reason is not None and not whole:
                by_s = clock() + self.patience.usage_s
            elif answer.tokens > tokens:  # a comment every second is no sign of life
                by_s = clock() + self.patience.chunk_s
        if answer.reason is None:
            raise NodeLost("the upstream ended its answer before it was whole")

    async def _refused(self, response: httpx2.Response) -> MeshError:
        status, headers = response.status_code, response.headers
        body = await refusal_body(response, self.patience.refusal_s)
        if status in BUSY:
            self.crowd.refused()
            told = told_s(headers.get("retry-after"), headers.get("retry-after-ms"))
            self._rest(min(RETRY_AFTER_MAX_S, told or RETRY_AFTER_DEFAULT_S))
        if status == GONE:
            self.doubted()
        return refused(status, body, self.name, self.told.name)

    def _meant(self, failure: MeshError | httpx2.HTTPError) -> MeshError:
        if not isinstance(failure, MeshError):
            self.doubted()
        elif isinstance(failure, Overloaded) and not self.resting:
            self._rest(RETRY_AFTER_DEFAULT_S)
        return in_its_name(failure, self.name)

    def _rest(self, for_s: float | None) -> None:
        """Take nothing for a while, and say so; None: the while is over."""
        if self._resting is not None:
            self._resting.cancel()
        loop = asyncio.get_running_loop()
        self._resting = None if for_s is None else loop.call_later(for_s, self._rest, None)
        self.changed()


def _images(work: Generation) -> int:
    return sum(len(message.images) for message in work.messages)


def _prompt_bytes(work: Generation) -> int:
    said = sum(len(each.text.encode()) for each in work.messages)
    calls = sum(len(call.arguments_json) for each in work.messages for call in each.tool_calls)
    return said + calls + sum(len(t.description) + len(t.parameters_json) for t in work.tools)
