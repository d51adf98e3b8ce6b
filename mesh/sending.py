"""One request on its way to a coordinator, sent again where the connection breaks.

A coordinator that restarts is back within seconds. Until the first token the request is simply sent
again; after it, with all that has come, as a request for the rest. Where nobody can give exactly
that, the answer is lost: a second one is another one, and two of them spliced would be neither.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from typing import TypeVar

import grpc

from mesh.errors import AnswerLost, MeshError, RequestExists
from mesh.held_answer import CUT, CUT_HINT, HeldAnswer
from mesh.rpc import broke_off, from_rpc
from mesh.v1 import inference_pb2 as inference
from mesh.v1.inference_pb2_grpc import InferenceStub

PATIENCE_S = 10.0  # a coordinator restarts in 1 to 5 s; longer, and a person thinks that we hang
AGAIN_AFTER_S = 0.2  # as the first reconnect of a channel
TIMEOUT_S = 600.0  # a long answer from a slow desk
LATE_S = 5.0  # a coordinator that keeps the time itself tells more than a transport that breaks off
MODELS_WITHIN_S = 10.0
TOLD_WITHIN_S = 10.0  # twice what a coordinator takes to read its ledger

# Lends a connection for one try; its times are on the event loop's clock. ``until_s``: a try has
# failed, so wait for a connection that stands, but no longer than this. ``deadline_s``: in no case
# wait longer. Raises OutOfReach.
Reach = Callable[[float | None, float], AbstractAsyncContextManager[InferenceStub]]

T = TypeVar("T")


class OutOfReach(Exception):
    """No coordinator has taken the request, and nobody has seen anything of an answer."""

    def __init__(self, why: MeshError) -> None:
        super().__init__(str(why))
        self.why = why


async def answer(
    reach: Reach, request: inference.GenerateRequest
) -> AsyncGenerator[inference.GenerateEvent, None]:
    """See ``mesh.asking.Asking``. What is left of ``request``'s time is written into it.

    Raises:
        OutOfReach: no coordinator answered for ``PATIENCE_S``, and there was no first token.
        MeshError: as ``Asking.answer``.
    """
    tries = _Tries(request.deadline_ms / 1000)
    try:
        async with aclosing(_answer(reach, request, tries)) as events:
            async for event in events:
                yield event
    except OutOfReach:
        tries.narrow(request)
        raise


async def _answer(
    reach: Reach, request: inference.GenerateRequest, tries: "_Tries"
) -> AsyncGenerator[inference.GenerateEvent, None]:
    held = HeldAnswer(request)
    while True:
        try:
            async with reach(tries.until_s, tries.deadline_s) as stub:
                tries.narrow(request)
                call = stub.Generate(request, timeout=tries.left_s + LATE_S)
                try:
                    async for event in call:
                        if held.take(event):
                            yield event
                        tries.heard()
                    return
                except grpc.aio.AioRpcError as failure:
                    broken = failure
                finally:
                    call.cancel()  # a call that is dropped without it is never collected
            if held.failure is not None:
                raise held.failure from None
            if broke_off(broken) and held.delta:
                if not held.can_go_on:
                    raise OutOfReach(from_rpc(broken)) from None
                held.ask_for_the_rest()
            await tries.another(broken)
        except OutOfReach:
            if not held.delta:
                raise
            break
    yield held.cut()
    raise AnswerLost(CUT, hint=CUT_HINT)


async def models(reach: Reach) -> tuple[inference.ModelView, ...]:
    """See ``mesh.asking.Asking``.

    Raises:
        OutOfReach: as ``answer``.
        MeshError: whoever answers does not tell.
    """

    async def ask(stub: InferenceStub, timeout_s: float) -> tuple[inference.ModelView, ...]:
        response = await stub.ListModels(inference.ListModelsRequest(), timeout=timeout_s)
        return tuple(response.models)

    return await _until_answered(reach, ask, MODELS_WITHIN_S)


async def embeddings(reach: Reach, request: inference.EmbedRequest) -> inference.EmbedResponse:
    """See ``mesh.asking.Asking``. Sent again as an answer is: nobody has seen half a vector.

    Raises:
        OutOfReach: as ``answer``.
        MeshError: as ``Asking.embeddings``.
    """

    async def ask(stub: InferenceStub, timeout_s: float) -> inference.EmbedResponse:
        response: inference.EmbedResponse = await stub.Embed(request, timeout=timeout_s)
        return response

    within_s = request.deadline_ms / 1000 + LATE_S if request.deadline_ms else TIMEOUT_S
    return await _until_answered(reach, ask, within_s)


async def token_count(
    reach: Reach, request: inference.CountTokensRequest
) -> inference.CountTokensResponse:
    """See ``mesh.asking.Asking``, and ``embeddings``."""

    async def ask(stub: InferenceStub, timeout_s: float) -> inference.CountTokensResponse:
        response: inference.CountTokensResponse = await stub.CountTokens(request, timeout=timeout_s)
        return response

    return await _until_answered(reach, ask, TIMEOUT_S)


async def feedback(reach: Reach, message: inference.Feedback) -> None:
    """See ``mesh.asking.Asking``, and ``embeddings``: said twice, it counts once."""

    async def tell(stub: InferenceStub, timeout_s: float) -> None:
        await stub.SendFeedback(message, timeout=timeout_s)

    await _until_answered(reach, tell, TOLD_WITHIN_S)


async def outcome(reach: Reach, message: inference.Outcome) -> None:
    """See ``mesh.asking.Asking``, and ``feedback``."""

    async def tell(stub: InferenceStub, timeout_s: float) -> None:
        await stub.RecordOutcome(message, timeout=timeout_s)

    await _until_answered(reach, tell, TOLD_WITHIN_S)


async def _until_answered(
    reach: Reach, ask: Callable[[InferenceStub, float], Awaitable[T]], within_s: float
) -> T:
    tries = _Tries(within_s + PATIENCE_S)
    while True:
        async with reach(tries.until_s, tries.deadline_s) as stub:
            try:
                return await ask(stub, within_s)
            except grpc.aio.AioRpcError as failure:
                broken = failure
        await tries.another(broken)


class _Tries:
    """How often, and until when, one request is tried."""

    def __init__(self, given_s: float) -> None:
        self._clock = asyncio.get_running_loop().time
        self.deadline_s = self._clock() + (given_s or TIMEOUT_S)
        self.until_s: float | None = None  # since the first try failed: when patience ends

    @property
    def left_s(self) -> float:
        return max(0.0, self.deadline_s - self._clock())

    def heard(self) -> None:
        """Somebody answers: patience begins anew, should the connection break again."""
        self.until_s = None

    def narrow(self, request: inference.GenerateRequest) -> None:
        """Give the request no more time than is left, if it was given any."""
        if request.deadline_ms:
            request.deadline_ms = min(request.deadline_ms, max(1, int(self.left_s * 1000)))

    async def another(self, broken: grpc.aio.AioRpcError) -> None:
        """Wait a moment for the next try, or raise what ends it."""
        failure = from_rpc(broken)
        if not (broke_off(broken) or (self.until_s and isinstance(failure, RequestExists))):
            raise failure from None  # RequestExists: it has not noticed yet that the first broke
        now_s = self._clock()
        if self.until_s is None:
            self.until_s = min(now_s + PATIENCE_S, self.deadline_s)
        if now_s >= self.until_s:
            raise OutOfReach(failure) from None
        await asyncio.sleep(AGAIN_AFTER_S)
