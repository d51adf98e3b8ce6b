"""The SDK: ask the mesh from a program.

::

    import asyncio
    from mesh.client import connect

    async def main() -> None:
        async with connect() as mesh, mesh.generate("Reverse the word: mesh") as answer:
            async for text in answer:
                print(text, end="", flush=True)
        print(answer.receipt.why)

    asyncio.run(main())

Every failure is a ``mesh.errors.MeshError``. One event loop a process: gRPC allows no more.
"""

import asyncio
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import grpc

from mesh import sending
from mesh.core.generation import TokenLogprob
from mesh.core.types import AUTO
from mesh.dial import plain_channel
from mesh.errors import InvalidRequest, MeshError
from mesh.rpc import unreachable
from mesh.sending import TIMEOUT_S
from mesh.shown_tokens import ShownTokens
from mesh.v1 import inference_pb2 as inference
from mesh.v1 import inference_pb2_grpc as inference_grpc
from mesh.wire.logprobs import read_logprobs

Messages = str | Sequence[Mapping[str, str]]

_ROLES = {
    "system": inference.ROLE_SYSTEM,
    "user": inference.ROLE_USER,
    "assistant": inference.ROLE_ASSISTANT,
}
_TIERS = {
    "": inference.TIER_UNSPECIFIED,
    "device": inference.TIER_DEVICE,
    "mesh": inference.TIER_MESH,
    "cloud": inference.TIER_CLOUD,
}


@asynccontextmanager
async def connect(address: str | None = None) -> AsyncIterator["MeshClient"]:
    """Connect to the mesh of this machine.

    Args:
        address: ``host:port`` of a loopback gRPC port. None: the coordinator of the mesh that this
            machine has joined; if it has joined none, the coordinator on this very machine.

    Raises:
        NodeLost: no coordinator answers.
        NotAuthenticated: this machine's certificate has expired.
    """
    channel = plain_channel(address) if address else await _own_channel()
    async with channel:
        yield MeshClient(channel)


async def _own_channel() -> grpc.aio.Channel:
    # Late: an import of the SDK stays below 0.3 s without certificates, settings and mDNS.
    from mesh.home import Home
    from mesh.identity.store import IdentityStore
    from mesh.member import reach_coordinator
    from mesh.settings import load_settings

    home = Home.find()
    if IdentityStore(home).roles():
        return await reach_coordinator(home)
    return plain_channel(f"127.0.0.1:{load_settings().ports.local}")


class MeshClient:
    """Calls on one open channel; made by ``connect``."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel
        self._stub = inference_grpc.InferenceStub(channel)
        # Somebody is there, or was a moment ago: worth waiting for if the connection breaks.
        self._answers = channel.get_state() is grpc.ChannelConnectivity.READY

    def generate(  # noqa: PLR0913 - what a caller may decide, all by name
        self,
        prompt: Messages,
        *,
        model: str = AUTO,
        max_tokens: int = 0,
        temperature: float | None = None,
        top_p: float | None = None,
        top_k: int | None = None,
        seed: int | None = None,
        stop: Sequence[str] = (),
        logprobs: int | None = None,
        tier: str = "",
        policy: str = "",
        session: str = "",
        explain: bool = False,
        request_id: str = "",
        timeout_s: float = TIMEOUT_S,
    ) -> "AnswerStream":
        """Ask; use the result as ``async with ... as answer`` and iterate over its text.

        Args:
            prompt: a string, or messages as ``{"role": "user", "content": "..."}``.
            model: a name, an identity, or "auto".
            max_tokens: 0 leaves the end to the model.
            logprobs: tell how likely each token was, and so many of the likeliest in its place, 0
                to 20.
            tier: how far the prompt may travel: "device", "mesh" or "cloud"; "" is the mesh's own.
            explain: let the receipt say for every node why it could not.

        Raises:
            InvalidRequest: a role or tier is unknown, or a number does not fit its field.
        """
        try:
            request = inference.GenerateRequest(
                request_id=request_id or uuid.uuid4().hex,
                model=model,
                messages=_messages(prompt),
                sampling=inference.Sampling(
                    temperature=temperature, top_p=top_p, top_k=top_k, seed=seed
                ),
                max_tokens=max_tokens,
                stop=stop,
                logprobs=logprobs,
                tier=_known(_TIERS, tier, "tier"),
                policy=policy,
                session=session,
                explain=explain,
                deadline_ms=int(timeout_s * 1000),
            )
        except (ValueError, TypeError) as failure:
            raise InvalidRequest(f"a parameter is out of range: {failure}") from None
        return AnswerStream(self.answer(request))

    async def answer(
        self, request: inference.GenerateRequest
    ) -> AsyncGenerator[inference.GenerateEvent, None]:
        """See ``mesh.asking.Asking``: the whole request, and every event of its answer.

        A coordinator that was there and restarts is waited for, until the first token.
        """
        try:
            async with aclosing(sending.answer(self._reach, request)) as events:
                async for event in events:
                    self._answers = True
                    yield event
        except sending.OutOfReach as failure:
            raise self._gone(failure) from None

    async def ask(self, prompt: Messages, **parameters: Any) -> "Answer":
        """Ask, and wait for the whole answer. Takes what ``generate`` takes."""
        async with self.generate(prompt, **parameters) as stream:
            text = "".join([piece async for piece in stream])
        return Answer(
            text, stream.finish_reason, stream.usage, stream.receipt, tuple(stream.logprobs)
        )

    async def models(self) -> Sequence[inference.ModelView]:
        """Return the models of the mesh, test models last."""
        try:
            models = await sending.models(self._reach)
        except sending.OutOfReach as failure:
            raise self._gone(failure) from None
        self._answers = True
        return models

    @asynccontextmanager
    async def _reach(self, until_s: float | None) -> AsyncIterator[inference_grpc.InferenceStub]:
        """See ``sending.Reach``: it is our one channel."""
        if until_s is not None:
            if not self._answers:  # nobody ever did, so nobody restarts
                raise sending.OutOfReach(unreachable())
            try:
                async with asyncio.timeout_at(until_s):
                    await self._channel.channel_ready()
            except TimeoutError:
                raise sending.OutOfReach(unreachable()) from None
        yield self._stub

    def _gone(self, failure: sending.OutOfReach) -> MeshError:
        """It was waited for. The next call will not wait, until somebody has answered again."""
        self._answers = False
        return failure.why


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer, and its account."""

    text: str
    finish_reason: str  # "stop" or "length"
    usage: inference.Usage
    receipt: inference.Receipt
    logprobs: tuple[TokenLogprob, ...] = ()  # of the tokens in the text, if they were asked for


@dataclass(slots=True)
class AnswerStream:
    """The text of an answer as it comes; leaving the ``async with`` block cancels the rest.

    ``receipt``, ``usage`` and ``finish_reason`` are there once the iteration has ended.
    ``logprobs`` has come as far as the text: it tells of its tokens, and of no stop string's.
    """

    _events: AsyncGenerator[inference.GenerateEvent, None]
    started: inference.GenerationStarted = field(default_factory=inference.GenerationStarted)
    usage: inference.Usage = field(default_factory=inference.Usage)
    receipt: inference.Receipt = field(default_factory=inference.Receipt)
    finish_reason: str = ""
    logprobs: list[TokenLogprob] = field(default_factory=list)
    _shown: ShownTokens = field(default_factory=ShownTokens)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._events.aclose()

    async def __aiter__(self) -> AsyncIterator[str]:
        """Yield pieces of text.

        Raises:
            MeshError: why there is no answer, or no more of it. ``receipt`` tells what was tried.
        """
        async with aclosing(self._events) as events:
            async for event in events:
                match event.WhichOneof("event"):
                    case "delta":
                        self._take(event.delta)
                        if event.delta.text:
                            yield event.delta.text
                    case "started":
                        self.started = event.started
                    case "finished":
                        self._finish(event.finished)
                    case "failed":
                        self.receipt = event.failed.receipt
                    case _:
                        pass  # of a newer protocol

    def _take(self, delta: inference.GenerationDelta) -> None:
        self.logprobs += self._shown.take(delta.text, read_logprobs(delta.logprobs))

    def _finish(self, finished: inference.GenerationFinished) -> None:
        name = inference.FinishReason.Name(finished.reason)
        self.finish_reason = name.removeprefix("FINISH_REASON_").lower()
        self.usage, self.receipt = finished.usage, finished.receipt


def _messages(prompt: Messages) -> list[inference.Message]:
    if isinstance(prompt, str):
        prompt = [{"role": "user", "content": prompt}]
    return [
        inference.Message(
            role=_known(_ROLES, message.get("role", ""), "role"),
            parts=[inference.Part(text=message.get("content", ""))],
        )
        for message in prompt
    ]


def _known(table: Mapping[str, Any], name: str, what: str) -> Any:
    if name not in table:
        known = ", ".join(filter(None, table))
        raise InvalidRequest(f"{what} {name[:40]!r} is unknown", hint=f"use {known}")
    return table[name]
