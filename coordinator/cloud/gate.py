"""The gate before the socket: what it does not let pass opens no connection, whatever routing said.

It believes nobody. It looks at the action's tier and at the request's own, and it refuses unless
the model is one of its upstream's, the operator has set a cap for the day, the model has a price,
and what the call may cost at most is left of the day and no more than the request itself allows.
That much is set aside until the call has ended. ``GatedTransport`` lies below whatever code speaks
HTTP, and sends nothing without a pass that is still good.

Each upstream has a gate of its own, so a pass for one opens nothing to another. The day's money is
one for all of them.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace

import httpx2
from pydantic import SecretStr

from coordinator.cloud.prices import Price
from coordinator.cloud.spending import Spending
from mesh.chat_api.estimates import most
from mesh.core.actions import StartCloudAttempt
from mesh.core.cloud import says_cloud
from mesh.core.types import CloudModel, Failure, FailureCode, ModelId, Tier, Usage
from mesh.v1 import inference_pb2 as inference

log = logging.getLogger(__name__)

# Of an answer whose request sets no limit: it is what the money for it is set aside by, so the
# upstream is told it too. Three pages of text.
MAX_TOKENS_DEFAULT = 4096

PASS = "deskmesh_pass"  # where a request to the upstream carries its pass  # noqa: S105


@dataclass(eq=False, slots=True)
class Pass:
    """Leave to ask the upstream once, and the money for it. Good until it is settled."""

    max_tokens: int
    reserved_microusd: int
    price: Price
    settled: bool = False

    @property
    def price_version(self) -> str:
        return self.price.version


@dataclass(frozen=True, slots=True)
class Priced:
    """A model of the gate's upstream, and what it costs; None: nobody knows."""

    model: CloudModel
    price: Price | None
    where: str = "cloud"  # the table of the settings that its price may be set in


class Gate:
    """Lets attempts pass to one upstream, and keeps the day's money."""

    def __init__(
        self,
        models: Iterable[Priced],
        *,
        spending: Spending | None,
        default_tier: Tier,
        writes_caches: bool = False,
    ) -> None:
        """
        Args:
            models: the upstream's.
            spending: None where the operator has set no cap.
            writes_caches: the operator has the upstream keep prompts, which costs more at first.
        """
        self._models: dict[ModelId, Priced] = {each.model.model_id: each for each in models}
        self._spending = spending
        self._default_tier = default_tier
        self._writes_caches = writes_caches
        self._given: set[Pass] = set()  # bounded by the calls under way

    def closed_to(self, model_id: ModelId) -> Failure | None:
        """Why nothing passes to a model, and what the operator has to set; None if it may."""
        if self._spending is None:
            return _forbidden(
                "nothing may be spent on the cloud: cloud.max_usd_per_day is not set",
                "the operator sets cloud.max_usd_per_day (docs/cloud.md)",
            )
        own = self._models[model_id]
        if own.price is None:
            return _forbidden(
                f"nobody knows what {own.model.name} costs, so it is not asked",
                f"the operator sets {own.where}.input_usd_per_million_tokens and "
                f"{own.where}.output_usd_per_million_tokens (docs/cloud.md)",
            )
        return None

    def admit(
        self, action: StartCloudAttempt, request: inference.GenerateRequest
    ) -> Pass | Failure:
        """Let an attempt pass with the money it may cost set aside, or say why not."""
        own = self._models.get(action.model.model_id)
        if own is None or not self._may_leave(action.tier, request, own.model):
            log.error("attempt %d may not leave the mesh and was stopped here", action.attempt_id)
            return _forbidden("this request may not leave the mesh", "ask with tier cloud")
        if (closed := self.closed_to(own.model.model_id)) is not None:
            return closed
        price, spending = own.price, self._spending
        assert price is not None, "else it is closed"
        assert spending is not None, "else it is closed"
        if not spending.known:
            return Failure(
                FailureCode.OVERLOADED,
                "the ledger cannot tell yet what the cloud has cost today",
                "try again in a moment; `deskmesh ledger summary` says what is wrong with it",
            )
        max_tokens = request.max_tokens or MAX_TOKENS_DEFAULT
        return self._set_aside(price, spending, request, max_tokens, action.spent_microusd)

    def _set_aside(
        self,
        price: Price,
        spending: Spending,
        request: inference.GenerateRequest,
        max_tokens: int,
        spent_microusd: int,
    ) -> Pass | Failure:
        used = most(request, max_tokens)
        if self._writes_caches:
            used = replace(used, cache_written_tokens=used.prompt_tokens)
        most_microusd = price.cost_microusd(used)
        if 0 < request.cost_microusd_max < spent_microusd + most_microusd:
            spent = f", of which {dollars(spent_microusd)} are spent" if spent_microusd else ""
            return _forbidden(
                f"it may cost up to {dollars(most_microusd)}, and the request allows "
                f"{dollars(request.cost_microusd_max)}{spent}",
                "ask for fewer tokens, or allow more",
            )
        if not spending.reserve(most_microusd):
            left = spending.left_microusd
            return _forbidden(
                f"it may cost up to {dollars(most_microusd)}, and of the day's "
                f"{dollars(spending.cap_microusd)} there are {dollars(left)} left",
                "ask for fewer tokens, wait for midnight UTC, or raise cloud.max_usd_per_day",
            )
        passed = Pass(max_tokens, most_microusd, price)
        self._given.add(passed)
        return passed

    def settle(self, passed: Pass, usage: Usage | None) -> int:
        """Take a pass back, and return what the call did cost, in micro-USD.

        Args:
            usage: what the upstream told, or nothing at all where it did no work. None: nobody
                knows, and the call has cost what was set aside for it.
        """
        assert passed in self._given, "a pass is settled once"
        assert self._spending is not None
        cost = passed.reserved_microusd if usage is None else passed.price.cost_microusd(usage)
        self._given.remove(passed)
        passed.settled = True
        self._spending.settle(passed.reserved_microusd, cost)
        return cost

    def is_good(self, passed: object) -> bool:
        """Did this gate give the pass, and has it not taken it back?"""
        return isinstance(passed, Pass) and passed in self._given

    def _may_leave(self, tier: Tier, request: inference.GenerateRequest, model: CloudModel) -> bool:
        if tier is not Tier.CLOUD:
            return False
        if request.tier == inference.TIER_UNSPECIFIED:
            return self._default_tier is Tier.CLOUD or says_cloud(request.model, (model,))
        return request.tier == inference.TIER_CLOUD


class GatedTransport(httpx2.AsyncBaseTransport):
    """Carries requests that have a good pass, and opens no connection for others.

    The key joins them here, so that nothing above, the client with its headers included, has it.
    """

    def __init__(
        self,
        below: httpx2.AsyncBaseTransport,
        gate: Gate,
        key_header: tuple[str, SecretStr] | None = None,
    ) -> None:
        """``key_header`` is the header's name and its value; None where no key is needed."""
        self._below = below
        self._gate = gate
        self._key_header = key_header

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if not self._gate.is_good(request.extensions.get(PASS)):
            raise httpx2.UnsupportedProtocol("the gate gave no pass", request=request)
        if self._key_header is not None:
            name, value = self._key_header
            request.headers[name] = value.get_secret_value()
        return await self._below.handle_async_request(request)

    async def aclose(self) -> None:
        await self._below.aclose()


def dollars(microusd: int) -> str:
    """Write money for people: cents from a cent on, the small change below it."""
    return (
        f"${microusd / 1e6:.2f}" if microusd >= 10_000 or not microusd else f"${microusd / 1e6:.6f}"
    )


def _forbidden(message: str, hint: str) -> Failure:
    return Failure(FailureCode.FORBIDDEN, message, hint)
