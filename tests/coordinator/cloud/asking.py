"""The adapter alone, between a fleet that writes down what it is told and a played upstream."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from coordinator.cloud.opening import open_upstreams
from coordinator.cloud.upstream import Upstream
from coordinator.cloud.upstreams import Upstreams
from mesh.chat_api.patience import Patience
from mesh.core import events
from mesh.core.actions import StartCloudAttempt
from mesh.core.types import AttemptId, CloudModel, Failure, RequestKey, Tier
from mesh.settings import CloudSettings
from mesh.v1 import inference_pb2 as inference
from tests.coordinator.cloud.played_upstream import WITHIN_S

PROMPT = "the prompt that nobody else may see"
UPSTREAM = CloudModel("big-model", "upstream", frozenset())


def a_request(text: str = PROMPT, **fields: object) -> inference.GenerateRequest:
    message = inference.Message(role=inference.ROLE_USER, parts=[inference.Part(text=text)])
    given = {
        "tier": inference.TIER_CLOUD,
        "max_tokens": 100,
        "request_id": "r",
        "messages": [message],
    }
    return inference.GenerateRequest(**{**given, **fields})  # type: ignore[arg-type]


def an_action(tier: Tier = Tier.CLOUD) -> StartCloudAttempt:
    return StartCloudAttempt(AttemptId(1), RequestKey("ann", "r"), UPSTREAM, tier, 30.0)


@dataclass
class Fleet:
    """Hears events, and knows when an attempt has ended."""

    cloud: Upstreams = field(init=False)
    heard: list[events.Event] = field(default_factory=list)
    _more: asyncio.Event = field(default_factory=asyncio.Event)
    _attempts: int = 0

    @property
    def upstream(self) -> Upstream:
        """The first of them, and mostly the only one."""
        return self.cloud.upstreams[0]

    def post(self, event: events.Event) -> None:
        self.heard.append(event)
        self._more.set()

    def start(
        self,
        request: inference.GenerateRequest | None = None,
        *,
        tier: Tier = Tier.CLOUD,
        remaining_s: float = 30.0,
        model: CloudModel | None = None,
    ) -> AttemptId:
        self._attempts += 1
        attempt_id = AttemptId(self._attempts)
        key = RequestKey("ann", f"r{attempt_id}")
        asked = model or self.cloud.models[0]
        action = StartCloudAttempt(attempt_id, key, asked, tier, remaining_s)
        self.cloud.start(action, request if request is not None else a_request())
        return attempt_id

    async def ended(self, attempt_id: AttemptId) -> events.AttemptFinished | events.AttemptFailed:
        """Wait for the attempt's end, and until its task is gone."""
        async with asyncio.timeout(WITHIN_S):
            while True:
                for event in self.heard:
                    if not isinstance(event, events.AttemptFinished | events.AttemptFailed):
                        continue
                    if event.attempt_id == attempt_id:
                        await self.idle()
                        return event
                self._more.clear()
                await self._more.wait()

    async def idle(self) -> None:
        """Wait until no call is under way, and check that no money is set aside then."""
        async with asyncio.timeout(WITHIN_S):
            for upstream in self.cloud.upstreams:
                while upstream._calls:
                    await asyncio.wait(list(upstream._calls.values()))
                    await asyncio.sleep(0)
                assert upstream._gate._given == set()
        spending = self.cloud._spending
        assert spending is None or spending._reserved == 0

    async def ask(
        self,
        request: inference.GenerateRequest | None = None,
        *,
        remaining_s: float = 30.0,
        model: CloudModel | None = None,
    ) -> events.AttemptFinished | events.AttemptFailed:
        return await self.ended(self.start(request, remaining_s=remaining_s, model=model))

    async def answer(self, request: inference.GenerateRequest | None = None) -> str:
        """Ask for what is answered, and return its text."""
        ended = await self.ask(request)
        assert isinstance(ended, events.AttemptFinished), ended
        return self.text

    async def failure(
        self, request: inference.GenerateRequest | None = None, *, remaining_s: float = 30.0
    ) -> Failure:
        """Ask for what is not answered, and return why."""
        ended = await self.ask(request, remaining_s=remaining_s)
        assert isinstance(ended, events.AttemptFailed), ended
        return ended.failure

    @property
    def text(self) -> str:
        return "".join(each.text for each in self.deltas)

    @property
    def deltas(self) -> list[inference.GenerationDelta]:
        found = [each.payload for each in self.heard if isinstance(each, events.AttemptProgressed)]
        assert all(isinstance(each, inference.GenerationDelta) for each in found)
        return found  # type: ignore[return-value]

    @property
    def spent_microusd(self) -> int:
        spending = self.cloud._spending
        assert spending is not None
        return spending.cap_microusd - spending.left_microusd


@asynccontextmanager
async def adapter(
    settings: CloudSettings, patience: Patience | None = None
) -> AsyncIterator[Fleet]:
    """Run the adapter, opened as a coordinator opens it."""
    fleet = Fleet()
    fleet.cloud = open_upstreams(settings, fleet.post)
    if patience is not None:
        for upstream in fleet.cloud.upstreams:
            upstream._patience = patience
    async with fleet.cloud.running():
        yield fleet
