"""All upstreams as one cloud: each attempt goes to the upstream of its model."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from coordinator.cloud.spending import Spending
from coordinator.cloud.upstream import Upstream
from mesh.core import events
from mesh.core.actions import StartCloudAttempt
from mesh.core.types import AttemptId, CloudModel, Failure, FailureCode
from mesh.v1 import inference_pb2 as inference


class Upstreams:
    """``coordinator.effects.Cloud`` for all that the operator has configured."""

    def __init__(
        self,
        upstreams: Sequence[Upstream],
        *,
        spending: Spending | None,
        post: Callable[[events.Event], None],
    ) -> None:
        """``spending`` is what the gates of all of them share."""
        self.upstreams = tuple(upstreams)
        self._of_model = {model.model_id: each for each in upstreams for model in each.models}
        self._spending = spending
        self._post = post

    @property
    def models(self) -> tuple[CloudModel, ...]:
        """Every model that may be asked, in the order of the settings."""
        return tuple(model for each in self.upstreams for model in each.models)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Offer the models to the fleet while the context is open; at its end all calls end."""
        async with AsyncExitStack() as stack:
            for upstream in self.upstreams:
                await stack.enter_async_context(upstream.running())
            self._post(events.CloudOffered(self.models))
            stack.callback(lambda: self._post(events.CloudOffered(())))  # before any closes
            yield

    def hold_until_seeded(self) -> None:
        """Ask nothing before the ledger has said what was spent today."""
        if self._spending is not None:
            self._spending.hold_until_seeded()

    def seed_spent(self, microusd: int) -> None:
        """Count what the ledger says was spent today before this process began."""
        if self._spending is not None:
            self._spending.seed_spent(microusd)

    def start(self, action: StartCloudAttempt, request: inference.GenerateRequest) -> None:
        """Ask the upstream of the attempt's model, if its gate lets the attempt pass."""
        upstream = self._of_model.get(action.model.model_id)
        if upstream is None:
            failure = Failure(FailureCode.MODEL_NOT_FOUND, "no upstream has this model")
            self._post(events.AttemptFailed(action.attempt_id, failure))
            return
        upstream.start(action, request)

    def stop(self, attempt_id: AttemptId) -> None:
        """End a call at once, if it is still open; nothing more is posted about it."""
        for upstream in self.upstreams:
            upstream.stop(attempt_id)
