"""The adapter: starts and stops calls to the upstream, and owns them."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from coordinator.cloud.call import Call, Patience
from coordinator.cloud.connection import CALLS_MAX, Address, new_client
from coordinator.cloud.gate import Gate, Pass
from mesh.core import events
from mesh.core.actions import StartCloudAttempt
from mesh.core.types import AttemptId, CloudModel, Failure, FailureCode
from mesh.v1 import inference_pb2 as inference

log = logging.getLogger(__name__)


class Upstream:
    """``coordinator.effects.Cloud`` for one OpenAI-compatible upstream."""

    def __init__(  # noqa: PLR0913 - what it is made of
        self,
        model: CloudModel,
        *,
        address: Address,
        key: str,
        gate: Gate,
        post: Callable[[events.Event], None],
        patience: Patience | None = None,
    ) -> None:
        """Raises InvalidRequest if the way there cannot be used."""
        self.model = model
        self._address = address
        self._gate = gate
        self._post = post
        self._patience = patience or Patience()
        self._client = new_client(address, key, gate)
        self._calls: dict[AttemptId, asyncio.Task[None]] = {}
        self._tasks: asyncio.TaskGroup | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Offer the model to the fleet while the context is open; at its end all calls end."""
        async with self._client, asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            self._post(events.CloudOffered((self.model,)))
            try:
                yield
            finally:
                self._post(events.CloudOffered(()))
                self._tasks = None
                for call in self._calls.values():
                    call.cancel()

    def hold_until_seeded(self) -> None:
        """Ask nothing of it before the ledger has said what was spent today."""
        self._gate.hold_until_seeded()

    def seed_spent(self, microusd: int) -> None:
        """Count what the ledger says was spent today before this process began."""
        self._gate.seed_spent(microusd)

    def start(self, action: StartCloudAttempt, request: inference.GenerateRequest) -> None:
        """Ask the upstream, if the gate lets the attempt pass."""
        if self._tasks is None or len(self._calls) >= CALLS_MAX:
            why = f"{len(self._calls)} calls are under way" if self._tasks else "it is closing"
            failure = Failure(FailureCode.OVERLOADED, f"the cloud takes no more here: {why}")
            self._post(events.AttemptFailed(action.attempt_id, failure))
            return
        passed = self._gate.admit(action, request)
        if not isinstance(passed, Pass):
            log.info("attempt %d did not pass the gate: %s", action.attempt_id, passed.message)
            self._post(events.AttemptFailed(action.attempt_id, passed))
            return
        call = Call(
            action=action,
            request=request,
            passed=passed,
            gate=self._gate,
            client=self._client,
            address=self._address,
            patience=self._patience,
            post=self._post,
        )
        task = self._tasks.create_task(call.run(), name=f"attempt {action.attempt_id} in the cloud")
        self._calls[action.attempt_id] = task
        task.add_done_callback(lambda _: self._ended(call))

    def stop(self, attempt_id: AttemptId) -> None:
        """End a call at once, if it is still open; nothing more is posted about it."""
        if (call := self._calls.get(attempt_id)) is not None:
            call.cancel()

    def _ended(self, call: Call) -> None:
        call.close()
        del self._calls[call.action.attempt_id]
