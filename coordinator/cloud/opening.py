"""From settings to an upstream, and one line for the operator about what it means."""

import logging
import re
from collections.abc import Callable
from decimal import Decimal

from coordinator.cloud.connection import read_address, read_key
from coordinator.cloud.gate import Gate, dollars
from coordinator.cloud.prices import find_price
from coordinator.cloud.spending import Spending
from coordinator.cloud.upstream import Upstream
from mesh.core.events import Event
from mesh.core.types import Capability, CloudModel, Tier
from mesh.errors import InvalidRequest
from mesh.settings import CloudSettings

log = logging.getLogger(__name__)

# Taken for granted of a model behind this API. Where one lacks it, the upstream refuses the request
# and says so; leaving one out here would refuse it for all.
ASSUMED = frozenset({Capability.TOOLS, Capability.GRAMMAR, Capability.LOGPROBS, Capability.VISION})

_MODEL = re.compile(r"[\x21-\x7e]{1,256}")  # it goes onto terminals, into headers and logs


def open_upstream(settings: CloudSettings, post: Callable[[Event], None]) -> Upstream:
    """Return the upstream that the settings name, and log what may go there.

    Raises:
        MeshError: a setting cannot be meant so; says which.
    """
    address = read_address(settings.base_url)
    model = CloudModel(_checked(settings.model), address.name, ASSUMED)
    cap, price = settings.max_usd_per_day, find_price(settings)
    spending = None if cap is None else Spending(int(Decimal(str(cap)) * 1_000_000))
    tier = Tier[settings.default_tier.upper()]
    gate = Gate(model, price=price, spending=spending, default_tier=tier)
    upstream = Upstream(model, address=address, key=read_key(settings), gate=gate, post=post)
    if spending is None or price is None:
        assert gate.closed is not None, "for want of one of them"
        log.warning(
            "nothing goes to %s at %s: %s; %s",
            model.name,
            address.name,
            gate.closed.message,
            gate.closed.hint,
        )
    else:
        log.info(
            "prompts of tier cloud may go to %s at %s, for up to %s a day (price: %s)%s",
            model.name,
            address.name,
            dollars(spending.cap_microusd),
            price.version,
            "; so may all that do not say their tier" if tier is Tier.CLOUD else "",
        )
    return upstream


def _checked(model: str) -> str:
    if not _MODEL.fullmatch(model):
        raise InvalidRequest(
            "cloud.model is not the name of a model", hint="write it as the upstream calls it"
        )
    return model
