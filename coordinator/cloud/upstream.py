"""One upstream: starts and stops calls to it, and owns them."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from pydantic import SecretStr

from coordinator.cloud.api import Api
from coordinator.cloud.call import Call
from coordinator.cloud.connection import CALLS_MAX, Address, new_client
from coordinator.cloud.gate import Gate, Pass
from mesh.chat_api.patience import Patience
from mesh.core import events
from mesh.core.actions import StartCloudAttempt
from mesh.core.types import AttemptId, CloudModel, Failure, FailureCode, ModelId
from mesh.v1 import inference_pb2 as inference

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Served:
    """A model of an upstream: as the mesh knows it, and as it is called there."""

    model: CloudModel
    name: str


class Upstream:
    """Calls to one upstream. Its part of ``coordinator.effects.Cloud``."""

    def __init__(  # noqa: PLR0913 - what it is made of
        self,
        served: tuple[Served, ...],
        *,
        address: Address,
        api: Api,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        key_header: tuple[str, SecretStr] | None,
        gate: Gate,
        post: Callable[[events.Event], None],
        patience: Patience | None = None,
    ) -> None:
        """Raises InvalidRequest if the way there cannot be used."""
        self.models = tuple(each.model for each in served)
        self._names: dict[ModelId, str] = {each.model.model_id: each.name for each in served}
        self._api = api
        self._endpoint = address.endpoint(api.path, query)
        self._gate = gate
        self._post = post
        self._patience = patience or Patience()
        self._client = new_client(address, headers, gate, key_header)
        self._calls: dict[AttemptId, asyncio.Task[None]] = {}
        self._tasks: asyncio.TaskGroup | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Take calls while the context is open; at its end all of them end."""
        async with self._client, asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            try:
                yield
            finally:
                self._tasks = None
                for call in self._calls.values():
                    call.cancel()

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
            api=self._api,
            endpoint=self._endpoint,
            model_name=self._names[action.model.model_id],
            patience=self._patience,
            post=self._post,
        )
        task = self._tasks.create_task(call.run(), name=f"attempt {action.attempt_id} in the cloud")
        self._calls[action.attempt_id] = task
        task.add_done_callback(lambda _: self._ended(call))

    def stop(self, attempt_id: AttemptId) -> None:
        """End a call at once, if it is still open here; nothing more is posted about it."""
        if (call := self._calls.get(attempt_id)) is not None:
            call.cancel()

    def _ended(self, call: Call) -> None:
        call.close()
        del self._calls[call.action.attempt_id]
