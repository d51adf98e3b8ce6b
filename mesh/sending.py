"""One request on its way to a coordinator, sent again where the connection breaks.

A coordinator that restarts is back within seconds, and whoever asked has seen nothing yet: until
the first token the request is simply sent again. After it nothing is: a second answer is another
one, and two of them spliced would be neither.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from typing import TypeVar

import grpc

from mesh.core.types import FailureCode
from mesh.errors import AnswerLost, MeshError, RequestExists
from mesh.rpc import ERROR_BY_CODE, broke_off, from_rpc
from mesh.v1 import inference_pb2 as inference
from mesh.v1.inference_pb2_grpc import InferenceStub

PATIENCE_S = 10.0  # a coordinator restarts in 1 to 5 s; longer, and a person thinks that we hang
AGAIN_AFTER_S = 0.2  # as the first reconnect of a channel
TIMEOUT_S = 600.0  # a long answer from a slow desk
LATE_S = 5.0  # a coordinator that keeps the time itself tells more than a transport that breaks off
MODELS_WITHIN_S = 10.0

CUT = "the coordinator was lost mid-answer"
CUT_HINT = "ask again"

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
    seen = _Seen(request)
    while True:
        async with reach(tries.until_s, tries.deadline_s) as stub:
            tries.narrow(request)
            call = stub.Generate(request, timeout=tries.left_s + LATE_S)
            try:
                async for event in call:
                    seen.take(event)
                    yield event
                return
            except grpc.aio.AioRpcError as failure:
                broken = failure
            finally:
                call.cancel()  # a call that is dropped without it is never collected
        if seen.failure is not None:
            raise seen.failure from None
        if broke_off(broken) and seen.delta:
            yield seen.cut()
            raise AnswerLost(CUT, hint=CUT_HINT) from None
        await tries.another(broken)


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


class _Seen:
    """What the client has got so far."""

    def __init__(self, request: inference.GenerateRequest) -> None:
        self._request = request
        self._started = inference.GenerationStarted()
        self.delta = False  # some of the answer
        self.failure: MeshError | None = None  # told in the stream, with the receipt

    def take(self, event: inference.GenerateEvent) -> None:
        match event.WhichOneof("event"):
            case "delta":
                self.delta = True
            case "started":
                self._started = event.started
            case "failed":
                told = event.failed
                error = ERROR_BY_CODE.get(told.code, MeshError)
                self.failure = error(told.message, hint=told.hint)
            case _:
                pass

    def cut(self) -> inference.GenerateEvent:
        """Return the last event of an answer whose rest is gone, with the receipt that is left."""
        started, code = self._started, FailureCode.ANSWER_LOST
        attempt = inference.Attempt(
            attempt_id=started.attempt_id,
            node_id=started.node_id,
            node_name=started.node_name,
            model_id=started.model_id,
            model_name=started.model_name,
            outcome=code,
            reason=CUT,
            tier=started.tier,
        )
        receipt = inference.Receipt(
            request_id=self._request.request_id,
            asked_model=self._request.model,
            tier=started.tier,
            attempts=[attempt],
            why=started.why,
        )
        failed = inference.GenerationFailed(
            code=code, message=CUT, hint=CUT_HINT, retryable=True, receipt=receipt
        )
        return inference.GenerateEvent(failed=failed)
