"""Predicted seconds to the first and to the last token of a request on a replica.

``rtt + queue wait + cold load + prompt tokens / prefill rate``, then ``output tokens x time per
token``. Measured rates win; the priors below serve a replica that was never used.
"""

from dataclasses import dataclass

from mesh.core.types import Machine, Model, Policy, ReplicaState, ReplicaStatus, Request

BYTES_PER_TOKEN = 4.0  # English text in common vocabularies; until it is learned per model
OUTPUT_TOKENS_EXPECTED = 128  # where the request sets no smaller limit; until it is learned

# Priors, from the bench of section "engine" on 2 x86-64 cores: a 135M Q8_0 model (145 MB) decodes
# at 129 tokens/s, which is 18.7 GB/s of weights read; a little less leaves room for slower memory.
DECODE_BYTES_PER_S = 15e9
PREFILL_FLOPS_PER_CORE = 20e9  # two operations a parameter and token
LOAD_BYTES_PER_S = 500e6  # a cold page cache on a SATA disk
LOAD_FIXED_S = 0.5  # process start and the proof run

# A measurement outside of these, NaN and infinity included, counts as none: a node may err or lie,
# and neither may decide a pick or break the arithmetic.
RATE_MIN, RATE_MAX = 1e-3, 1e7  # tokens/s
LOAD_S_MAX = 3600.0


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast a replica is as far as anyone knows. Seconds, finite and not negative."""

    prefill_s: float  # a prompt token
    decode_s: float  # an output token
    load_s: float  # until the model is warm


@dataclass(frozen=True, slots=True)
class Prediction:
    """Seconds from now."""

    first_token_s: float
    completion_s: float


@dataclass(frozen=True, slots=True)
class Demand:
    """What a request asks of whichever replica gets it, worked out once for all candidates."""

    prompt_tokens: float
    output_tokens: float

    @classmethod
    def of(cls, request: Request) -> "Demand":
        output_tokens = min(request.max_tokens or OUTPUT_TOKENS_EXPECTED, OUTPUT_TOKENS_EXPECTED)
        return cls(max(0.0, request.prompt_bytes / BYTES_PER_TOKEN), max(1.0, output_tokens))


def speed_of(machine: Machine, model: Model, status: ReplicaStatus) -> Speed:
    """Return what the node measured, else what is usual for such a machine and model."""
    prefill_rate = PREFILL_FLOPS_PER_CORE * max(machine.cores, 1) / (2 * max(model.parameters, 1))
    decode_rate = DECODE_BYTES_PER_S / max(model.size_bytes, 1)
    if RATE_MIN <= status.prefill_tokens_per_s <= RATE_MAX:
        prefill_rate = status.prefill_tokens_per_s
    if RATE_MIN <= status.decode_tokens_per_s <= RATE_MAX:
        decode_rate = status.decode_tokens_per_s
    load_s = 0.0
    if status.state is not ReplicaState.WARM:
        measured = 0.0 < status.load_s <= LOAD_S_MAX
        load_s = status.load_s if measured else LOAD_FIXED_S + model.size_bytes / LOAD_BYTES_PER_S
    return Speed(1 / prefill_rate, 1 / decode_rate, load_s)


def predict(demand: Demand, speed: Speed, rtt_s: float, *, free: bool) -> Prediction:
    """Predict how long a replica of this ``speed`` takes to answer, ``rtt_s`` away."""
    prefill_s = demand.prompt_tokens * speed.prefill_s
    decode_s = demand.output_tokens * speed.decode_s
    # One that waits expects an answer like its own to end before it.
    wait_s = 0.0 if free else prefill_s + decode_s
    first_token_s = rtt_s + wait_s + speed.load_s + prefill_s + speed.decode_s
    return Prediction(first_token_s, first_token_s + decode_s)


@dataclass(frozen=True, slots=True)
class Weights:
    """How much each predicted second counts in the pick."""

    first_token: float
    completion: float

    def cost(self, predicted: Prediction) -> float:
        return self.first_token * predicted.first_token_s + self.completion * predicted.completion_s


# A person feels the first token most. In a toy simulation of unequal nodes at 80 % load the p99
# first token was 29 s for least loaded, 16 s for earliest completion, 4.4 s for earliest first
# token. `fast` serves callers that wait for the whole answer.
WEIGHTS: dict[Policy, Weights] = {
    Policy.FRUGAL: Weights(first_token=1.0, completion=0.1),
    Policy.BALANCED: Weights(first_token=1.0, completion=0.1),
    Policy.BEST: Weights(first_token=1.0, completion=0.1),
    Policy.FAST: Weights(first_token=0.2, completion=1.0),
    Policy.PRIVATE: Weights(first_token=1.0, completion=0.1),
}
