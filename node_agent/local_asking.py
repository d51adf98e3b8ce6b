"""What this machine's own programs ask: the mesh, and where none answers, its own models."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager

from mesh import sending
from mesh.core.types import Tier
from mesh.v1 import inference_pb2 as inference
from mesh.v1.inference_pb2_grpc import InferenceStub
from node_agent.own_models import OwnModels
from node_agent.uplink import Uplink

STAYS_HERE = "tier device: the prompt stays on this machine"
OWN_EMBEDS = "embeddings are made by this machine's own models"
NOBODY_ANSWERS = "no coordinator answers, so this machine's own model did"


class LocalAsking:
    """An ``Asking`` for the doors of one machine."""

    def __init__(self, uplink: Uplink, own: OwnModels) -> None:
        self._uplink = uplink
        self._own = own

    async def answer(
        self, request: inference.GenerateRequest
    ) -> AsyncGenerator[inference.GenerateEvent, None]:
        """See ``Asking``. A request of tier device is never sent anywhere."""
        if request.tier == inference.TIER_DEVICE:
            answer = self._own.answer(request, why=STAYS_HERE, tier=Tier.DEVICE)
        else:
            answer = self._from_the_mesh(request)
        async with aclosing(answer) as events:
            async for event in events:
                yield event

    async def embeddings(self, request: inference.EmbedRequest) -> inference.EmbedResponse:
        """See ``Asking``. By this machine's own models: no coordinator passes texts on yet."""
        return await self._own.embeddings(request, why=OWN_EMBEDS, tier=Tier.DEVICE)

    async def token_count(
        self, request: inference.CountTokensRequest
    ) -> inference.CountTokensResponse:
        """See ``Asking``; as ``embeddings``."""
        return await self._own.token_count(request)

    async def models(self) -> Sequence[inference.ModelView]:
        """See ``Asking``. This machine's own ones are told where no coordinator is in reach."""
        try:
            return await sending.models(self._reach)
        except sending.OutOfReach as failure:
            own = self._own.models()
            if not own:
                raise failure.why from None
            return own

    async def feedback(self, message: inference.Feedback) -> None:
        """See ``Asking``. Answers of this machine alone are in no ledger."""
        try:
            await sending.feedback(self._reach, message)
        except sending.OutOfReach as failure:
            raise failure.why from None

    async def outcome(self, message: inference.Outcome) -> None:
        """See ``Asking``."""
        try:
            await sending.outcome(self._reach, message)
        except sending.OutOfReach as failure:
            raise failure.why from None

    async def _from_the_mesh(
        self, request: inference.GenerateRequest
    ) -> AsyncGenerator[inference.GenerateEvent, None]:
        try:
            async with aclosing(sending.answer(self._reach, request)) as events:
                async for event in events:
                    yield event
            return
        except sending.OutOfReach as failure:
            if self._own.lacks(request.model) is not None:
                raise failure.why from None  # that is what its owner can do something about
        own = self._own.answer(request, why=NOBODY_ANSWERS, tier=Tier.DEVICE)
        async with aclosing(own) as events:
            async for event in events:
                yield event

    @asynccontextmanager
    async def _reach(
        self, until_s: float | None, deadline_s: float
    ) -> AsyncIterator[InferenceStub]:
        """See ``sending.Reach``."""
        async with self._uplink.lent(until_s, deadline_s) as connection:
            yield connection.inference
