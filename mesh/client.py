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
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import Any

import grpc

from mesh import sending
from mesh.answers import Answer, AnswerStream
from mesh.conversation import (
    Image,
    Message,
    Messages,
    Tool,
    ToolCall,
    one_of,
    write_choice,
    write_prompt,
    write_tools,
)
from mesh.core.asked import NO_ORIGIN, Origin
from mesh.core.types import AUTO
from mesh.dial import plain_channel
from mesh.errors import InvalidRequest, NodeLost
from mesh.numbers_given import UINT64_MAX, deadline_ms, whole, whole_or_none
from mesh.sending import TIMEOUT_S
from mesh.v1 import inference_pb2 as inference
from mesh.way import Way
from mesh.wire.origin import write_origin

__all__ = [
    "Answer",
    "AnswerStream",
    "Image",
    "MeshClient",
    "Message",
    "Messages",
    "Origin",
    "Tool",
    "ToolCall",
    "connect",
]

AGENT_WITHIN_S = 0.5  # on loopback a millisecond does

NO_AGENT = NodeLost(
    "tier device: this machine's own agent does not answer on its local gRPC port",
    hint="start it with `deskmesh node`; DESKMESH_PORTS__LOCAL says which port that is",
)

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
        NodeLost: no coordinator answers, nor does this machine's own agent.
        NotAuthenticated: this machine's certificate has expired.
    """
    async with AsyncExitStack() as stack:
        channel, device = (plain_channel(address), None) if address else await _own_channels()
        await stack.enter_async_context(channel)
        if device is not None:
            await stack.enter_async_context(device)
        yield MeshClient(channel, device)


async def _own_channels() -> tuple[grpc.aio.Channel, grpc.aio.Channel | None]:
    """Return a channel to the mesh; and where it leaves this machine, one that does not."""
    # Late: an import of the SDK stays below 0.3 s without certificates, settings and mDNS.
    from mesh.home import Home
    from mesh.identity.store import IdentityStore
    from mesh.member import reach_coordinator
    from mesh.settings import load_settings

    home = Home.find()
    local = f"127.0.0.1:{load_settings().ports.local}"
    if not IdentityStore(home).roles():
        own = await _answering(local)
        if own is None:
            raise NodeLost(
                f"this machine has joined no mesh, and no coordinator answers at {local}",
                hint="start one with `deskmesh up`, or join one with `deskmesh join CODE`",
            )
        return own, None
    try:
        channel = await reach_coordinator(home)
    except NodeLost:
        agent = None if home.authority.exists() else await _answering(local)
        if agent is None:
            raise
        return agent, None  # it answers from this machine's own models, and says so
    return channel, None if home.authority.exists() else plain_channel(local)


async def _answering(address: str) -> grpc.aio.Channel | None:
    """Return a channel to whoever answers there, None if nobody does."""
    channel = plain_channel(address)
    try:
        async with asyncio.timeout(AGENT_WITHIN_S):
            await channel.channel_ready()
    except BaseException as failure:
        await channel.close()
        if isinstance(failure, TimeoutError):
            return None
        raise
    return channel


class MeshClient:
    """Calls on open channels; made by ``connect``."""

    def __init__(self, channel: grpc.aio.Channel, device: grpc.aio.Channel | None = None) -> None:
        """``device`` is for requests of tier device, where ``channel`` leaves this machine."""
        self._mesh = Way(channel)
        self._device = self._mesh if device is None else Way(device, NO_AGENT)

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
        tools: Sequence[Tool] = (),
        tool_choice: str | Tool = "",
        tier: str = "",
        policy: str = "",
        session: str = "",
        domain: str = "",
        origin: Origin = NO_ORIGIN,
        accept_substitute: bool = False,
        accept_restart: bool = False,
        explain: bool = False,
        request_id: str = "",
        timeout_s: float = TIMEOUT_S,
    ) -> AnswerStream:
        """Ask; use the result as ``async with ... as answer`` and iterate over its text.

        Args:
            prompt: a string, or messages: ``Message`` or ``{"role": "user", "content": "..."}``.
            model: a name, an identity, or "auto".
            max_tokens: 0 leaves the end to the model.
            logprobs: tell how likely each token was, and so many (0 to 20) of those in its place.
            tools: what the model may ask the program to call; see ``AnswerStream.tool_calls``.
            tool_choice: "auto", "none", "required", or the one tool that must be called.
            tier: how far the prompt may travel: "device", "mesh" or "cloud"; "" is the mesh's own.
            domain: what it is about, such as "networking"; "" lets the mesh recognise it.
            origin: who or what began it, and for whom: for the operator's rules and the ledger.
            accept_substitute: another model, at least as capable, may answer; the receipt says so.
            accept_restart: a cut answer may begin anew, see ``AnswerStream.restarts``.
            explain: let the receipt say for every node why it could not.

        Raises:
            InvalidRequest: a role, key, choice or tier is unknown, or a value does not fit.
        """
        try:
            request = inference.GenerateRequest(
                request_id=request_id or uuid.uuid4().hex,
                model=model,
                messages=write_prompt(prompt),
                tools=write_tools(tools),
                tool_choice=write_choice(tool_choice),
                sampling=_sampling(temperature, top_p, top_k, seed),
                max_tokens=whole("max_tokens", max_tokens),
                stop=stop,
                logprobs=whole_or_none("logprobs", logprobs),
                tier=one_of(_TIERS, tier, "tier"),
                policy=policy,
                session=session,
                domain=domain,
                origin=write_origin(origin),
                accept_substitute=accept_substitute,
                accept_restart=accept_restart,
                explain=explain,
                deadline_ms=deadline_ms(timeout_s),
            )
        except (ValueError, TypeError, OverflowError) as failure:
            raise InvalidRequest(f"a parameter is out of range: {failure}") from None
        return AnswerStream(self.answer(request))

    async def answer(
        self, request: inference.GenerateRequest
    ) -> AsyncGenerator[inference.GenerateEvent, None]:
        """See ``mesh.asking.Asking``: the whole request, and every event of its answer.

        A coordinator that was there and restarts is waited for, until the first token. What must
        stay on this machine (tier device) is asked of its own agent.
        """
        way = self._device if request.tier == inference.TIER_DEVICE else self._mesh
        try:
            async with aclosing(sending.answer(way.reach, request)) as events:
                async for event in events:
                    way.answers = True
                    yield event
        except sending.OutOfReach as failure:
            raise way.gone(failure) from None

    async def ask(self, prompt: Messages, **parameters: Any) -> Answer:
        """Ask, and wait for the whole answer. Takes what ``generate`` takes.

        Nothing of it is shown before its end, so it may begin anew unless told otherwise.
        """
        pieces: list[str] = []
        restarts = 0
        async with self.generate(prompt, **{"accept_restart": True, **parameters}) as stream:
            async for piece in stream:
                if stream.restarts != restarts:
                    restarts = stream.restarts
                    pieces.clear()
                pieces.append(piece)
        return Answer(
            "".join(pieces) if stream.restarts == restarts else "",
            stream.finish_reason,
            stream.usage,
            stream.receipt,
            tuple(stream.logprobs),
            stream.tool_calls,
            stream.reasoning,
        )

    async def embed(
        self,
        texts: Sequence[str],
        *,
        model: str = AUTO,
        tier: str = "",
        request_id: str = "",
        timeout_s: float = TIMEOUT_S,
    ) -> list[list[float]]:
        """Return a vector of length 1 for each text; a text that is too long is refused, not cut.

        Raises:
            InvalidRequest: there is no text, or one is none; or as ``generate``.
        """
        try:
            request = inference.EmbedRequest(
                request_id=request_id or uuid.uuid4().hex,
                model=model,
                inputs=texts,
                tier=one_of(_TIERS, tier, "tier"),
                deadline_ms=deadline_ms(timeout_s),
            )
        except (ValueError, TypeError, OverflowError) as failure:
            raise InvalidRequest(f"a parameter is out of range: {failure}") from None
        return [list(each.values) for each in (await self.embeddings(request)).embeddings]

    async def count_tokens(
        self,
        prompt: Messages,
        *,
        model: str = AUTO,
        tools: Sequence[Tool] = (),
        tier: str = "",
    ) -> int:
        """Return how many tokens ``model`` reads of ``prompt``, by its own template.

        Raises:
            InvalidRequest: as ``generate``.
        """
        request = inference.CountTokensRequest(
            model=model,
            messages=write_prompt(prompt),
            tools=write_tools(tools),
            tier=one_of(_TIERS, tier, "tier"),
        )
        return (await self.token_count(request)).tokens

    async def embeddings(self, request: inference.EmbedRequest) -> inference.EmbedResponse:
        """See ``mesh.asking.Asking``."""
        way = self._device if request.tier == inference.TIER_DEVICE else self._mesh
        try:
            response = await sending.embeddings(way.reach, request)
        except sending.OutOfReach as failure:
            raise way.gone(failure) from None
        way.answers = True
        return response

    async def token_count(
        self, request: inference.CountTokensRequest
    ) -> inference.CountTokensResponse:
        """See ``mesh.asking.Asking``."""
        way = self._device if request.tier == inference.TIER_DEVICE else self._mesh
        try:
            response = await sending.token_count(way.reach, request)
        except sending.OutOfReach as failure:
            raise way.gone(failure) from None
        way.answers = True
        return response

    async def judge(
        self, request_id: str, score: float, *, label: str = "", source: str = "human"
    ) -> None:
        """Say how good an answer was, from 0 (wrong) to 1 (right); the last word counts.

        Args:
            label: free words, at most 64 characters.
            source: who says so: "human", "test" or "judge".

        Raises:
            InvalidRequest: a value does not fit, or no request of yours with this id has ended.
        """
        await self.feedback(
            inference.Feedback(request_id=request_id, score=score, label=label, source=source)
        )

    async def feedback(self, message: inference.Feedback) -> None:
        """See ``mesh.asking.Asking``."""
        try:
            await sending.feedback(self._mesh.reach, message)
        except sending.OutOfReach as failure:
            raise self._mesh.gone(failure) from None

    async def outcome(self, message: inference.Outcome) -> None:
        """See ``mesh.asking.Asking``."""
        try:
            await sending.outcome(self._mesh.reach, message)
        except sending.OutOfReach as failure:
            raise self._mesh.gone(failure) from None

    async def models(self) -> Sequence[inference.ModelView]:
        """Return the models of the mesh, test models last."""
        try:
            models = await sending.models(self._mesh.reach)
        except sending.OutOfReach as failure:
            raise self._mesh.gone(failure) from None
        self._mesh.answers = True
        return models


def _sampling(
    temperature: float | None, top_p: float | None, top_k: int | None, seed: int | None
) -> inference.Sampling:
    return inference.Sampling(
        temperature=temperature,
        top_p=top_p,
        top_k=whole_or_none("top_k", top_k),
        seed=whole_or_none("seed", seed, UINT64_MAX),
    )
