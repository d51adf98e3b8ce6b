"""The coordinator's own front desk: whoever asks, by whichever door, asks here.

It checks what is asked, enters it into the fleet, and hands out what follows as a stream of events.
The gRPC services and the HTTP door are two ways to this desk.
"""

import random
import secrets
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, replace

from coordinator.access import Caller
from coordinator.assessing import Assessing
from coordinator.auditing import Auditing
from coordinator.clients import ClientStream
from coordinator.effects import Relay
from coordinator.judging import Judging
from coordinator.loop import FleetLoop
from mesh.core.catalogue import Catalogue
from mesh.core.cloud import says_cloud
from mesh.core.events import RequestArrived, RequestCancelled
from mesh.core.foresight import Foreseen, foresee
from mesh.core.policies import Policy
from mesh.core.policies import policies as all_policies
from mesh.core.rules import Rules
from mesh.core.types import Request, Tier
from mesh.errors import Overloaded, RequestExists, Unsupported
from mesh.v1 import inference_pb2 as inference
from mesh.wire.answers import error_of
from mesh.wire.models import write_cloud_model, write_models
from mesh.wire.prefixes import PromptHashes
from mesh.wire.requests import read_request

OPEN_MAX = 8192  # open requests: twice what waits and runs on a full mesh of 4,096 slots
OPEN_BYTES_MAX = 256 * 1024 * 1024  # their prompts: eight of the largest, or 60,000 usual ones
HOPS_MAX = 4  # a region of regions of sites is three


class Desk:
    """Takes requests in, one stream of events out for each."""

    def __init__(  # noqa: PLR0913 - what it is made of
        self,
        loop: FleetLoop,
        relay: Relay,
        mesh_id: str,
        *,
        default_tier: Tier = Tier.MESH,
        policies: Mapping[str, Policy] | None = None,
        assessing: Assessing | None = None,
        catalogue: Catalogue | None = None,
        judging: Judging | None = None,
    ) -> None:
        """
        Args:
            default_tier: how far a prompt may travel whose request does not say.
            policies: those that a request may name, by default the built-in ones.
            assessing: looks at prompts for the operator's rules; None: there are none.
            catalogue: knows the operator's aliases of models.
            judging: takes in what is said of answers; None: nobody keeps it.
        """
        self._loop = loop
        self._relay = relay
        self._mesh_id = mesh_id
        self._default_tier = default_tier
        self._policies = policies or all_policies()
        self._assessing = assessing or Assessing(Rules())
        self._catalogue = catalogue or Catalogue()
        self._judging = judging
        self.auditing: Auditing | None = None  # draws answers that are asked again

    async def answer(
        self, request: inference.GenerateRequest, caller: Caller
    ) -> AsyncGenerator[inference.GenerateEvent, None]:
        """See ``mesh.asking.Asking``. Closing the generator cancels the request."""
        features = self.read(request, caller)
        self._enter(request)
        cancelled = RequestCancelled(features.key, "the client reads too slowly")
        client = ClientStream(features, request, lambda: self._loop.post(cancelled))
        size_bytes = request.ByteSize()
        self._relay.clients[features.key] = client
        self._relay.open_bytes += size_bytes
        noted = self.auditing.draw(features, request) if self.auditing is not None else None
        self._relay.arrived(features)
        self._loop.post(RequestArrived(features))
        try:
            while (event := await client.next()) is not None:
                if noted is not None:
                    noted.add(event)
                yield event
        finally:
            if not client.ended:
                self._loop.post(RequestCancelled(features.key, "the client left"))
            del self._relay.clients[features.key]
            self._relay.open_bytes -= size_bytes
        if client.too_slow:
            slow = "the answer is far ahead of what this client has read"
            raise Overloaded(slow, hint="read the stream as it comes")
        if client.failure is not None:
            raise error_of(client.failure)

    @property
    def judging(self) -> Judging:
        """Raises Unsupported where nobody keeps what is said of answers."""
        if self._judging is None:
            raise Unsupported("this coordinator keeps no ledger", hint="ask one that does")
        return self._judging

    @property
    def rules_known(self) -> int:
        """How many rules the operator has."""
        return len(self._loop.fleet.requests.choosing.rules.rules)

    def foresee(self, request: inference.GenerateRequest, caller: Caller) -> Foreseen:
        """Say what would become of a request, and do nothing about it.

        Raises:
            MeshError: it cannot be asked so, or not now.
        """
        features = self.read(request, caller)
        choosing = self._loop.fleet.requests.choosing
        return foresee(features, choosing, random.Random(), self._loop.now_s)  # noqa: S311 - ties

    def models(self) -> list[inference.ModelView]:
        """Every model that a connected node holds, and the cloud's, if it may be asked."""
        fleet = self._loop.fleet
        nodes = fleet.directory.nodes.values()
        standing = fleet.requests.choosing.newcomers.standing
        views = write_models((node for node in nodes if node.connected), standing)
        views += [write_cloud_model(each) for each in fleet.requests.clouds]
        return views

    def read(self, message: inference.GenerateRequest, caller: Caller) -> Request:
        """Check what is asked and return what routing sees of it. An operator's alias of a model is
        put right in ``message``, for all that follows.

        Raises:
            MeshError: it cannot be asked so, or not now.
        """
        message.model = self._catalogue.canonical(message.model)
        features = read_request(
            message,
            principal=caller.principal,
            now_s=self._loop.now_s,
            from_coordinator_host=caller.on_this_host,
            tier=self._tier_of(message),
            policies=self._policies,
        )
        self._check_room(message, features)
        hashes = PromptHashes(message, key=self._relay.prefix_key)
        assessment = self._assessing.assess(message, features.assessment)
        return replace(features, block_hashes=hashes, assessment=assessment)

    def _check_room(self, message: inference.GenerateRequest, features: Request) -> None:
        if features.key in self._relay.clients:
            raise RequestExists(
                f"request id {message.request_id} is in use", hint="make a new id for each request"
            )
        if len(self._relay.clients) >= OPEN_MAX:
            raise Overloaded(f"{OPEN_MAX} requests are open", hint="try again in a moment")
        if self._relay.open_bytes + message.ByteSize() > OPEN_BYTES_MAX:
            raise Overloaded(
                f"open requests hold {OPEN_BYTES_MAX // 2**20} MiB of prompts",
                hint="try again in a moment",
            )

    def _tier_of(self, message: inference.GenerateRequest) -> Tier:
        """How far a prompt may travel whose request does not say. To name the cloud is to say."""
        if says_cloud(message.model, self._loop.fleet.requests.clouds):
            return Tier.CLOUD
        return self._default_tier

    def _enter(self, message: inference.GenerateRequest) -> None:
        """Fill in what is decided where a request enters the mesh."""
        if not message.sampling.HasField("seed"):
            message.sampling.seed = secrets.randbits(63)
        message.route.origin_mesh = message.route.origin_mesh or self._mesh_id
        message.route.hops_left = HOPS_MAX  # a client's word on it counts for nothing


@dataclass(frozen=True, slots=True)
class DeskAsking:
    """``Asking`` for one caller in this very process."""

    desk: Desk
    caller: Caller

    def answer(
        self, request: inference.GenerateRequest
    ) -> AsyncGenerator[inference.GenerateEvent, None]:
        return self.desk.answer(request, self.caller)

    async def embeddings(self, request: inference.EmbedRequest) -> inference.EmbedResponse:
        raise _not_passed_on("texts to be embedded")

    async def token_count(
        self, request: inference.CountTokensRequest
    ) -> inference.CountTokensResponse:
        raise _not_passed_on("prompts to be counted")

    async def models(self) -> Sequence[inference.ModelView]:
        return self.desk.models()

    async def feedback(self, message: inference.Feedback) -> None:
        await self.desk.judging.feedback(message, self.caller)

    async def outcome(self, message: inference.Outcome) -> None:
        await self.desk.judging.outcome(message, self.caller)


def _not_passed_on(what: str) -> Unsupported:
    return Unsupported(
        f"this version's coordinator passes no {what} on",
        hint="ask at the door of a machine that holds the model",
    )
