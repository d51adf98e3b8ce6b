"""Predicted seconds to the first and to the last token of a request on a replica.

``rtt + queue wait + cold load + uncached prompt tokens x time per token read``, then ``output
tokens x time per token written``. How fast a replica is, ``mesh.core.speed`` says.
"""

from dataclasses import dataclass

from mesh.core.experience import Habits
from mesh.core.speed import Speed
from mesh.core.types import Load, ModelId, Policy, Request

_NO_MODEL, _NOTHING_LEARNED = ModelId(""), Habits()


@dataclass(frozen=True, slots=True)
class Prediction:
    """Seconds from now."""

    first_token_s: float
    completion_s: float


@dataclass(frozen=True, slots=True)
class Demand:
    """What a request asks of whichever replica gets it, worked out once for all of a model's."""

    prompt_tokens: float
    output_tokens: float
    again_tokens: float = 0.0  # of an answer that goes on: decoded once more before the next one

    @classmethod
    def of(
        cls, request: Request, model_id: ModelId = _NO_MODEL, habits: Habits = _NOTHING_LEARNED
    ) -> "Demand":
        return cls(
            habits.prompt_tokens(model_id, request.prompt_bytes),
            habits.output_tokens(model_id, request),
            float(request.resumed_tokens),
        )

    def less(self, cached_tokens: float) -> "Demand":
        """Return what is left to do where so much of the prompt need not be read again."""
        read_tokens = max(1.0, self.prompt_tokens - cached_tokens)
        return Demand(read_tokens, self.output_tokens, self.again_tokens)


def predict(
    demand: Demand, speed: Speed, rtt_s: float, *, wait_s: float = 0.0, crowd: int = 0
) -> Prediction:
    """Predict how long a replica of this ``speed`` takes to answer, ``rtt_s`` away.

    Args:
        wait_s: until it can begin on the prompt.
        crowd: other models at work on its machine, which share it.
    """
    shared = 1 + crowd
    decode_s = shared * speed.decode_s
    reading_s = speed.load_s + speed.overhead_s + shared * demand.prompt_tokens * speed.prefill_s
    first_token_s = rtt_s + wait_s + reading_s + (1 + demand.again_tokens) * decode_s
    return Prediction(first_token_s, first_token_s + demand.output_tokens * decode_s)


def hold_s(demand: Demand, speed: Speed) -> float:
    """Return for how long an answer to such a request holds a slot. Never 0."""
    return demand.prompt_tokens * speed.prefill_s + (demand.output_tokens + 1) * speed.decode_s


@dataclass(frozen=True, slots=True)
class Strain:
    """What it costs a machine's owner that it works now, shares in [0, 1]."""

    battery: float = 0.0
    heat: float = 0.0
    owner: float = 0.0


WARM_FROM = 0.7  # of what a machine bears: below, its fans are no louder for it
OWNER_FROM = 0.25  # of its processors in others' use: less is what idle desktops do


def strain_of(load: Load) -> Strain | None:
    """Return how a machine is strained, or None for most: they are plugged in, cool and alone."""
    battery = (1.0 if not load.battery > 0 else 1.5 - load.battery) if load.on_battery else 0.0
    strain = Strain(
        _share(battery),
        _share((load.temperature - WARM_FROM) / (1 - WARM_FROM)),
        _share((load.cpu - OWNER_FROM) / (1 - OWNER_FROM)),
    )
    return strain if strain != _RELAXED else None


def _share(value: float) -> float:
    """NaN strains nobody: it is no measurement."""
    return min(1.0, max(0.0, value)) if value == value else 0.0  # noqa: PLR0124


_RELAXED = Strain()


def cost_of(policy: Policy, predicted: Prediction, strain: Strain | None = None) -> float:
    """Return what a pick by ``policy`` minimises."""
    seconds = policy.weigh(predicted.first_token_s, predicted.completion_s)
    return seconds if strain is None else seconds * factor_of(policy, strain)


def factor_of(policy: Policy, strain: Strain) -> float:
    return policy.factor(strain.battery, strain.heat, strain.owner)
