"""One attempt: its answer goes up a stream of its own, and it lives exactly as long as that stream.

Whoever ends the stream ends the attempt: the coordinator to cancel, we when the answer is whole or
has failed. The way to the first token is short on purpose: the stream is opened where the start
was read, or was open already, and the engine begins while the opening is still on its way.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace

from mesh.core.blocks import BLOCKS_MAX
from mesh.core.generation import Delta, Finished, Generation, Started
from mesh.core.types import AttemptId, Refusal
from mesh.errors import InternalError, InvalidRequest, MeshError, Overloaded, Unsupported
from mesh.v1 import fleet_pb2 as fleet
from mesh.v1 import inference_pb2 as inference
from mesh.wire.answers import write_attempt_failed, write_finished, write_started
from mesh.wire.generations import read_generation
from node_agent.answering import SAMPLER_VERSION, generating, too_late, warm_engine, where
from node_agent.endings import BROKEN_STREAM
from node_agent.gathering import Gathering
from node_agent.outgoing import TOKENS_WAITING_MAX, DeliverCall, Outgoing
from node_agent.slot import Slot

# A coordinator ends the stream when it has read the last message, within a round trip; one that
# does not has lost interest.
GOODBYE_S = 5.0

log = logging.getLogger("node")


class Delivery:
    """One attempt under way, from the moment it is made. ``close`` must follow, or ``run``."""

    def __init__(
        self,
        call: DeliverCall,
        start: fleet.StartAttempt,
        slot: Slot | MeshError,
        refuse: Callable[[AttemptId, Refusal], Awaitable[None]],
    ) -> None:
        """``slot`` may be the reason why there is none: then that is all the coordinator gets.

        An adopted engine may say that it is busy only when it is asked: then ``refuse`` tells what
        would have been told at once of one of ours.
        """
        self._refuse = refuse
        self._started = False
        self._call = call
        self._start = start
        self._slot = slot
        loop = asyncio.get_running_loop()
        self._deadline_s = loop.time() + start.deadline_ms / 1000 if start.deadline_ms else None
        tokens_max = min(start.batch_tokens_max or TOKENS_WAITING_MAX, TOKENS_WAITING_MAX)
        gathering = Gathering(interval_s=start.batch_interval_ms / 1000, tokens_max=tokens_max)
        self._outgoing = Outgoing(call, gathering)
        # Before anything else is done: the coordinator learns that we begin while we do.
        opened = fleet.DeliverOpened(epoch=start.epoch, attempt_id=start.attempt_id)
        self._outgoing.open(fleet.DeliverUp(opened=opened))
        self._task: asyncio.Task[object] | None = None
        self._over = False  # the last message is on its way

    async def run(self) -> None:
        """Answer, or say why not; return when the stream has ended. Cancelling it ends both."""
        self._task = asyncio.current_task()
        self._call.add_done_callback(self._ended_by_coordinator)
        try:
            last = await self._answered_or_failed()
            self._over = True
            if last is not None:
                await self._outgoing.close(last)
            await self._goodbye()
        except BROKEN_STREAM:
            if not self._call.done():  # else we learned by a write that the stream has ended
                raise
        finally:
            self._over = True  # what ends the stream now is us
            self.close()

    def close(self) -> None:
        """Free the slot and end the stream, at once. Also for an attempt that never ran."""
        self._free()
        self._outgoing.stop()
        self._call.cancel()

    async def _answered_or_failed(self) -> fleet.DeliverUp | None:
        """Send the answer but for its last message, and return that. The slot is free by then.

        None: it was refused, and nothing is to be sent.
        """
        try:
            finished = await self._answer()
            return fleet.DeliverUp(finished=write_finished(finished))
        except MeshError as failure:
            if self._not_begun(failure):
                self._free()
                await self._refuse(AttemptId(self._start.attempt_id), Refusal.BUSY)
                return None
            return fleet.DeliverUp(failed=write_attempt_failed(failure))
        except BROKEN_STREAM:
            raise
        except Exception as bug:  # of ours, or an engine's: this attempt's end, not the agent's
            log.error("an attempt failed by a bug: %s", where(bug))
            our_fault = InternalError("the node failed by a bug", hint="its log says where")
            return fleet.DeliverUp(failed=write_attempt_failed(our_fault))
        finally:
            self._free()

    def _free(self) -> None:
        """Give the slot back, if there is one still."""
        if isinstance(self._slot, Slot):
            self._slot.free()

    def _not_begun(self, failure: MeshError) -> bool:
        """Has an adopted engine refused what one of ours would have refused before it came here?"""
        adopted = isinstance(self._slot, Slot) and self._slot.adopted
        return adopted and isinstance(failure, Overloaded) and not self._started

    async def _answer(self) -> Finished:
        if isinstance(self._slot, MeshError):
            raise self._slot
        try:
            async with asyncio.timeout_at(self._deadline_s):
                request = await self._request()
                work = self._work(request)
        except TimeoutError:
            raise too_late("before the request was here") from None
        if self._slot.off_host and request.tier == inference.TIER_DEVICE:
            # No coordinator sends one here; but a prompt that has left cannot be called back.
            raise Unsupported("tier device: this model's engine is on another machine")
        engine = await warm_engine(self._slot, self._deadline_s)
        answering = generating(engine, work, self._slot, self._deadline_s)
        async with aclosing(answering) as events:
            async for event in events:
                match event:
                    case Delta():
                        await self._outgoing.delta(event)
                    case Started():
                        self._started = True
                        seed = work.sampling.seed
                        started = write_started(event, seed=seed, sampler_version=SAMPLER_VERSION)
                        self._outgoing.put(fleet.DeliverUp(started=started))
                    case Finished():
                        return event
        raise AssertionError("an answer ends by Finished, or raises")

    async def _request(self) -> inference.GenerateRequest:
        """Return the request; a large one comes down the stream."""
        if not self._start.body_follows:
            return self._start.request
        message = await self._call.read()
        if not isinstance(message, fleet.DeliverDown) or not message.HasField("body"):
            raise InvalidRequest("the coordinator announced a body and sent none")
        return message.body

    def _work(self, request: inference.GenerateRequest) -> Generation:
        if self._start.HasField("resume"):
            request.resume.CopyFrom(self._start.resume)
        theirs = request.resume.sampler_version
        if theirs and theirs != SAMPLER_VERSION:
            raise Unsupported(
                f"this machine draws tokens by {SAMPLER_VERSION}, and the answer was begun by "
                f"{theirs[:64]}",
                hint="update deskmesh on the older of the two machines",
            )
        hashes = tuple(self._start.block_hashes[:BLOCKS_MAX])
        work = read_generation(request)
        return replace(work, block_hashes=hashes, signs=self._start.signs)

    async def _goodbye(self) -> None:
        try:
            async with asyncio.timeout(GOODBYE_S):
                await self._call.code()
        except TimeoutError:
            return

    def _ended_by_coordinator(self, _call: object) -> None:
        if not self._over and self._task is not None:
            self._task.cancel()
