"""How fast a replica is: what we measured of it, what its node says, or what such machines do.

A node's word is used as it is until the first answer ends; from then on it is blended with what was
measured here, and may differ from that by ``TOLD_WITHIN`` at most. Where neither is known there is
a prior, from the machine and the model's size.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log

from mesh.core.estimate import Estimate
from mesh.core.experience import Experience
from mesh.core.types import BATCHES, Machine, Model, ReplicaState, ReplicaStatus

# Priors, from the bench of section "engine" on 2 x86-64 cores: a 135M Q8_0 model (145 MB) decodes
# at 129 tokens/s, which is 18.7 GB/s of weights read; a little less leaves room for slower memory.
DECODE_BYTES_PER_S = 15e9
PREFILL_FLOPS_PER_CORE = 20e9  # two operations a parameter and token
# Of GPUs that a node's engine computes on, by their makers' data sheets, and as if two thirds were
# had of it: the slowest cards that are bought for this read 272 to 300 GB/s (RTX 4060, L4) and
# compute some 15e12 half-precision operations a second; the slowest of Apple's chips read 68 GB/s
# and compute 2.6e12 (M1). Their nodes' own figures follow with the first answer.
CARD_BYTES_PER_S, CARD_FLOPS = 180e9, 10e12
METAL_BYTES_PER_S, METAL_FLOPS = 45e9, 1.7e12
IN_CARD_FACTOR = 1.2  # what a model takes there, by its size: keys, values and buffers beside it
LOAD_BYTES_PER_S = 500e6  # a cold page cache on a SATA disk
LOAD_FIXED_S = 0.5  # process start and the proof run
# The same bench writes 129, 228 and 373 tokens/s at 1, 4 and 16 sequences: the time of a token
# grows as the 0.6th power of the batch. An accelerator does better, and its node says so.
BATCH_EXPONENT = 0.6
# Of a model that does not say how large it is: an adopted engine may not. What most have on a desk,
# 8B at four bits; a guess of nothing would make it the quickest of all.
UNTOLD_BYTES, UNTOLD_PARAMETERS = 5e9, 8e9
# As ``node_agent.engine.chunks`` has it: what a chunk of a prompt takes at most, and its tokens.
CHUNK_S, CHUNK_TOKENS_MIN, CHUNK_TOKENS_MAX = 0.1, 16, 128

# A measurement outside of these, NaN and infinity included, counts as none: a node may err or lie,
# and neither may decide a pick or break the arithmetic.
RATE_MIN, RATE_MAX = 1e-3, 1e7  # tokens/s
LOAD_S_MIN, LOAD_S_MAX = 0.01, 3600.0
LOADED_SHARE_MAX = 0.9  # a load that is told to be all but over may have stood there for long
OVERHEAD_S_MAX = 10.0

TOLD_WITHIN = 4.0  # a factor; heat, or an owner at work, may have come since we measured
TRUSTED_FROM = 0.5  # answers: a single one bounds a node's word until it has faded by half
ANSWERS_DOUBTED = 2.0  # so many of our own measurements weigh as much as a node's word


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast a replica is for one more request. Seconds, finite and not negative."""

    prefill_s: float  # a prompt token
    decode_s: float  # an output token
    load_s: float  # until the model is warm
    overhead_s: float = 0.0  # of the first token, whatever the prompt


def speed_of(
    machine: Machine,
    model: Model,
    status: ReplicaStatus,
    experience: Experience | None = None,
    batch: int = 1,
) -> Speed:
    """Return the speed of a replica that works on ``batch`` sequences, the asked one included."""
    prefill_s, decode_s = told_alone(machine, model, status)
    overhead_s = 0.0
    if experience is not None:
        prefill_s = _blended(prefill_s, experience.prefill_s)
        decode_s = _blended(decode_s, experience.decode_s)
        if experience.overhead_s.weight > 0:
            overhead_s = min(OVERHEAD_S_MAX, experience.overhead_s.value)
    rates = status.decode_rates_by_batch
    return Speed(
        prefill_s * interruption(prefill_s, decode_s, rates, batch - 1),
        decode_s * slowdown(rates, batch),
        _load_s(model, status, experience),
        overhead_s,
    )


def interruption(
    prefill_s: float, decode_s: float, rates_by_batch: Sequence[float], others: float
) -> float:
    """Return how many times as long a prompt is read beside ``others`` who write, as alone.

    Between two chunks of a prompt each of them gets a token, so that none stalls.
    """
    if others <= 0:
        return 1.0
    chunk_tokens = min(CHUNK_TOKENS_MAX, max(CHUNK_TOKENS_MIN, CHUNK_S / prefill_s))
    return 1.0 + decode_s * slowdown(rates_by_batch, others) / (chunk_tokens * prefill_s)


def told_alone(machine: Machine, model: Model, status: ReplicaStatus) -> tuple[float, float]:
    """Seconds for a token read and for one written, alone, by the node's word or by the prior."""
    parameters = model.parameters if model.parameters > 0 else UNTOLD_PARAMETERS
    size_bytes = model.size_bytes if model.size_bytes > 0 else UNTOLD_BYTES
    bytes_per_s, flops = _prior(machine, size_bytes)
    prefill_rate = flops / (2 * parameters)
    decode_rate = bytes_per_s / size_bytes
    if _measured(status.prefill_tokens_per_s):
        prefill_rate = status.prefill_tokens_per_s
    by_batch = _known(status.decode_rates_by_batch)
    if by_batch:
        batch, rate = by_batch[0]
        decode_rate = rate * float(batch**BATCH_EXPONENT)
    elif _measured(status.decode_tokens_per_s):
        decode_rate = status.decode_tokens_per_s
    return 1 / prefill_rate, 1 / decode_rate


def _prior(machine: Machine, size_bytes: float) -> tuple[float, float]:
    """Return what such machines read a second, and compute: bytes, and operations.

    A GPU counts where its engine uses it and the whole model fits. One that shares the processor's
    memory reads no quicker than that, but on Apple's chips.
    """
    for gpu in machine.accelerators:
        if gpu.idle:
            continue
        if gpu.memory_bytes >= size_bytes * IN_CARD_FACTOR:
            return CARD_BYTES_PER_S, CARD_FLOPS
        if gpu.kind == "metal":
            return METAL_BYTES_PER_S, METAL_FLOPS
    return DECODE_BYTES_PER_S, PREFILL_FLOPS_PER_CORE * max(machine.cores, 1)


def slowdown(rates_by_batch: Sequence[float], batch: float) -> float:
    """Return how many times as long a token takes at ``batch`` as alone: 1 to ``batch`` times.

    Between measured sizes as between them, on logarithmic scales; beyond, by the usual exponent.
    """
    if batch <= 1:
        return 1.0
    known = _known(rates_by_batch)
    if not known:
        return float(batch**BATCH_EXPONENT)
    first_batch, first_rate = known[0]
    alone = float(first_rate * first_batch**BATCH_EXPONENT)
    rate = _rate_at(known, batch)
    return min(float(batch), max(1.0, alone / rate))


def _rate_at(known: list[tuple[int, float]], batch: float) -> float:
    below = max((each for each in known if each[0] <= batch), default=known[0])
    above = min((each for each in known if each[0] >= batch), default=None)
    if above is None or above[0] == below[0] or below[0] > batch:
        return float(below[1] * (below[0] / batch) ** BATCH_EXPONENT)
    share = log(batch / below[0]) / log(above[0] / below[0])
    return float(below[1] * (above[1] / below[1]) ** share)


def _known(rates_by_batch: Sequence[float]) -> list[tuple[int, float]]:
    return [each for each in zip(BATCHES, rates_by_batch, strict=False) if _measured(each[1])]


def _measured(rate: float) -> bool:
    return RATE_MIN <= rate <= RATE_MAX


def _load_s(model: Model, status: ReplicaStatus, experience: Experience | None) -> float:
    if status.state is ReplicaState.WARM:
        return 0.0
    measured = LOAD_S_MIN <= status.load_s <= LOAD_S_MAX
    guessed_s = LOAD_FIXED_S + max(0, model.size_bytes or UNTOLD_BYTES) / LOAD_BYTES_PER_S
    load_s = status.load_s if measured else guessed_s
    if experience is not None:
        load_s = min(LOAD_S_MAX, _blended(load_s, experience.load_s))
    if status.state is ReplicaState.LOADING and 0.0 <= status.load_progress <= 1.0:
        load_s *= 1.0 - LOADED_SHARE_MAX * status.load_progress
    return load_s


def _blended(told_s: float, own: Estimate) -> float:
    """Return between a node's word and our own measurement, as far as that one carries."""
    if own.weight <= 0.0:
        return told_s
    measured_s = own.value
    if own.weight >= TRUSTED_FROM:
        told_s = min(measured_s * TOLD_WITHIN, max(measured_s / TOLD_WITHIN, told_s))
    share = own.weight / (own.weight + ANSWERS_DOUBTED)
    return exp((1 - share) * log(told_s) + share * log(measured_s))
