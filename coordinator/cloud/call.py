"""One attempt in the cloud, from its first byte out to its last byte in.

It ends in exactly one event, ``AttemptFinished`` or ``AttemptFailed``, unless it is cancelled: then
in none. Its pass is settled either way, right before.

Rules for time: connecting, the first token, and each chunk after it have bounds of their own, and
all of it ends with the request's time. Only what carries a part of the answer counts as a sign of
life; a comment every second does not.

Rules for trying again: only before anything came back, only where the upstream says that it did
nothing, at most twice, and never past the request's time; nor where another upstream may answer.

Rules for money: nothing where no byte of the request went out or where the upstream refused; what
the upstream counted where it told; an estimate of what came where a whole answer came without; all
that was set aside where nobody knows.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import httpx2

from coordinator.cloud.api import Api
from coordinator.cloud.gate import PASS, Gate, Pass
from mesh.chat_api import refusals
from mesh.chat_api.answer import Answer
from mesh.chat_api.estimates import likely_prompt_tokens
from mesh.chat_api.event_stream import EventStream
from mesh.chat_api.patience import Patience, put_off, sign_of_life
from mesh.chat_api.response import check_kind, drain, refusal_body
from mesh.chat_api.transport_failures import meant
from mesh.core import events
from mesh.core.actions import StartCloudAttempt
from mesh.core.types import AttemptId, Usage
from mesh.errors import InternalError, MeshError, NodeLost
from mesh.v1 import inference_pb2 as inference
from mesh.wire.answers import failure_of, write_usage
from mesh.wire.enums import FINISH_REASON, write

log = logging.getLogger(__name__)

TRIES_MAX = 3  # two more after the first; a client waits meanwhile
TRY_AGAIN_S = (0.5, 2.0)  # where the upstream does not say
ANSWER_BYTES_MAX = 64 * 1024 * 1024  # a chunk of 300 bytes for each of 200,000 tokens
LARGE_BYTES = 256 * 1024  # beyond it, writing JSON takes milliseconds: not on the loop

NOTHING = Usage()


@dataclass(slots=True)
class Call:
    """One call under way. ``run`` is its task."""

    action: StartCloudAttempt
    request: inference.GenerateRequest
    passed: Pass
    gate: Gate
    client: httpx2.AsyncClient
    api: Api
    endpoint: str
    model_name: str  # as the upstream calls it
    patience: Patience
    post: Callable[[events.Event], None]
    _sent: bool = False  # the upstream has a part of the prompt, and may want its money
    _retry_after_s: float = 0.0  # as the upstream said when it refused last; 0: it did not say
    _answer: Answer = field(init=False)

    def __post_init__(self) -> None:
        self._answer = self.api.read(likely_prompt_tokens(self.request))

    async def run(self) -> None:
        """Ask, and post what comes of it. Raises nothing but cancellation."""
        try:
            async with asyncio.timeout(self.action.remaining_s):
                await self._ask()
        except TimeoutError as failure:
            if self._answer.reason is not None and not self.passed.settled:
                self._finish()  # whole: the time was up while its usage was waited for
            else:
                self._fail(meant(failure))
        except (MeshError, httpx2.HTTPError) as failure:
            self._fail(meant(failure))
        except Exception as failure:
            # A bug of ours, perhaps brought about by the upstream: it costs this attempt alone.
            log.error("attempt %d in the cloud broke: %s", self._id, type(failure).__name__)
            self._fail(InternalError("the call to the cloud broke"))

    def close(self) -> None:
        """Settle the pass of a call that was stopped, perhaps before it began."""
        if not self.passed.settled:
            self.gate.settle(self.passed, self._known())

    @property
    def _id(self) -> AttemptId:
        return self.action.attempt_id

    # -- out ---------------------------------------------------------------------------------------

    async def _ask(self) -> None:
        clock = asyncio.get_running_loop().time
        until_s = clock() + self.action.remaining_s
        body = await self._body()
        for again_s in (*TRY_AGAIN_S, None):
            first_token_by_s = clock() + self.patience.first_token_s
            async with self._answering(body, first_token_by_s) as response:
                if response.status_code == refusals.OK:
                    await self._take(response, first_token_by_s)
                    return
                refused = await refusal_body(response, self.patience.refusal_s)
            status, headers = response.status_code, response.headers
            if status not in refusals.PERHAPS_DONE:
                self._charge(0, sent=False)
            wait_s, self._retry_after_s = None, 0.0
            if status in refusals.TRY_AGAIN:
                told_s = refusals.told_s(headers.get("retry-after"), headers.get("retry-after-ms"))
                self._retry_after_s = min(told_s or 0.0, refusals.RETRY_AFTER_TOLD_MAX_S)
                if again_s is not None and not self.action.others:
                    wait_s = refusals.wait_s(told_s, again_s)
            hopeless = refusals.is_hopeless(refused)
            if wait_s is None or hopeless or clock() + wait_s >= until_s:
                raise refusals.refusal_of(status, refused)
            await asyncio.sleep(wait_s)

    async def _body(self) -> bytes:
        def written() -> bytes:
            return self.api.write_body(
                self.request, model=self.model_name, max_tokens=self.passed.max_tokens
            )

        if self.request.ByteSize() > LARGE_BYTES:
            return await asyncio.to_thread(written)
        return written()

    @asynccontextmanager
    async def _answering(self, body: bytes, by_s: float) -> AsyncIterator[httpx2.Response]:
        """Send the request; yield the answer once its headers are there; then close it."""
        connect_s = self.patience.connect_s
        request = self.client.build_request(
            "POST",
            self.endpoint,
            content=body,
            timeout=httpx2.Timeout(None, connect=connect_s, pool=connect_s),
            extensions={PASS: self.passed, "trace": self._traced},
        )
        async with sign_of_life(by_s):
            response = await self.client.send(request, stream=True)
        try:
            yield response
        finally:
            await response.aclose()

    async def _traced(self, name: str, told: dict[str, Any]) -> None:
        """Hear of each step of the transport; a proxy's CONNECT holds nothing of the prompt."""
        if name.endswith("send_request_headers.started") and told["request"].method == b"POST":
            self._charge(self.passed.reserved_microusd, sent=True)

    def _charge(self, cost_microusd: int, *, sent: bool) -> None:
        """Tell the fleet what the attempt has cost if it ends from its side now."""
        if self._sent is not sent:
            self._sent = sent
            version = self.passed.price_version
            self.post(events.AttemptCharged(self._id, cost_microusd, version))

    # -- in ----------------------------------------------------------------------------------------

    async def _take(self, response: httpx2.Response, first_token_by_s: float) -> None:
        """Post the answer as it comes, and its end.

        Raises:
            MeshError, httpx2.HTTPError: it did not come to its end.
        """
        check_kind(response)
        self._started()
        parts = response.aiter_raw()
        try:
            async with sign_of_life(first_token_by_s) as waiting:
                await self._read(parts, waiting)
        except (httpx2.HTTPError, MeshError):
            if self._answer.reason is None:
                raise
            # The answer is whole; what broke is the rest, which would have told its usage.
        self._finish()
        await drain(parts, self.patience.drain_s)

    async def _read(self, parts: AsyncIterator[bytes], waiting: asyncio.Timeout) -> None:
        stream, size_bytes = EventStream(), 0
        async for part in parts:
            size_bytes += len(part)
            if size_bytes > ANSWER_BYTES_MAX:
                raise NodeLost(f"the upstream sent more than {ANSWER_BYTES_MAX} bytes")
            if self._took(stream.feed(part), waiting):
                break
        if self._answer.reason is None:
            raise NodeLost("the upstream ended its answer before it was whole")

    def _took(self, told: list[str], waiting: asyncio.Timeout) -> bool:
        """Take in some events; return whether they were the last."""
        answer, before, whole = self._answer, self._answer.count, self._answer.reason is not None
        delta = answer.take(told)
        if delta is not None:
            offset = delta.token_offset
            count = answer.count - offset
            self.post(events.AttemptProgressed(self._id, offset, count, delta))
        if answer.count > before:
            put_off(waiting, self.patience.chunk_s)
        if answer.reason is not None and not whole:
            put_off(waiting, self.patience.usage_s)
        return answer.done

    def _started(self) -> None:
        prompt_tokens = self._answer.prompt_tokens
        started = inference.GenerationStarted(
            prompt_tokens=prompt_tokens, seed=self.api.seed_sent(self.request)
        )
        self.post(events.AttemptStarted(self._id, prompt_tokens, "", started))

    # -- the end -----------------------------------------------------------------------------------

    def _finish(self) -> None:
        usage, reason = self._answer.usage, self._answer.reason
        assert reason is not None
        cost = self.gate.settle(self.passed, usage)
        finished = inference.GenerationFinished(
            reason=write(FINISH_REASON, reason), usage=write_usage(usage)
        )
        version = self.passed.price_version
        self.post(events.AttemptFinished(self._id, usage, finished, cost, version))

    def _fail(self, error: MeshError) -> None:
        if self.passed.settled:
            return  # the answer is out already
        model = self.action.model
        log.warning("attempt %d at %s, %s, failed: %s", self._id, model.upstream, model.name, error)
        usage = self._known()
        cost = self.gate.settle(self.passed, usage)
        version = self.passed.price_version if cost else ""
        failure = replace(failure_of(error), retry_after_s=self._retry_after_s)
        self.post(events.AttemptFailed(self._id, failure, cost, version))

    def _known(self) -> Usage | None:
        """What is known to have been used by an attempt that did not come to its end.

        What is told before the answer is whole are sums so far, which some upstreams send with
        each chunk: the upstream may have written on.
        """
        if not self._sent:
            return NOTHING
        return self._answer.told if self._answer.reason is not None else None
