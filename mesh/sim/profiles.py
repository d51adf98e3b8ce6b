"""What stands on desks: kinds of machines, what they hold, how fast they are, who works on them.

The shares and rates are plausible, not measured: they give a mesh the unevenness of a real one.
Everything is drawn from the ``Random`` that is passed in, so a seed is a mesh.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from random import Random

from mesh.core.types import (
    Capability,
    Machine,
    Model,
    ModelIdentity,
    NodeId,
    Offer,
    ReplicaState,
    ReplicaStatus,
)

GIB = 2**30
MEMORY_FOR_MODELS = 0.6  # of a machine's memory; the rest is its owner's
CONTEXT_TOKENS = 8192
HELD_MAX = 3  # models on one desk
VERSION = "0.1.0"


@dataclass(frozen=True, slots=True)
class Kind:
    """One sort of desk-side machine. Pairs are the least and the most of what is drawn."""

    name: str
    share: float  # of all machines
    platform: str
    cores: tuple[int, ...]
    memory_gib: tuple[int, ...]
    read_gb_per_s: tuple[float, float]  # memory bandwidth: it bounds decoding
    prefill_gflops: tuple[float, float]
    rtt_ms: tuple[float, float]
    slots: int
    # What each further sequence adds to a decode step, as a share of the step of one alone: reading
    # the weights is shared, arithmetic is not. The engine's bench on 2 x86-64 cores (63, 99 and 140
    # tokens/s in all at 1, 4 and 16 sequences) gives a CPU 0.5; a GPU has arithmetic to spare.
    batch_cost: float = 0.5
    load_gb_per_s: float = 1.5  # of a cold model, from an SSD to its first answer
    jitter: float = 0.1  # of the round trip: the sigma of its logarithm, larger by radio
    owner: bool = False  # somebody works on it, and comes first
    battery: bool = False
    sleeps_per_hour: float = 0.0
    silent_per_hour: float = 0.05  # Wi-Fi drops, a host that hangs
    lost_per_hour: float = 0.02  # restarts and power cuts


KINDS = (
    Kind("mac-mini", 0.26, "macOS arm64", (10, 12), (16, 24, 32), (100, 150), (2500, 4500),
         (0.3, 0.8), slots=4, batch_cost=0.25),
    Kind("macbook", 0.24, "macOS arm64", (8, 10, 12), (16, 24), (90, 150), (1800, 3600),
         (2.0, 9.0), slots=2, batch_cost=0.25, jitter=0.5, owner=True, battery=True,
         sleeps_per_hour=0.5, silent_per_hour=0.3),
    Kind("thinkpad", 0.18, "Linux x86_64", (8, 12, 16), (16, 32), (45, 75), (250, 500),
         (2.0, 12.0), slots=1, jitter=0.5, owner=True, battery=True, sleeps_per_hour=0.5,
         silent_per_hour=0.3),
    Kind("edge", 0.12, "Linux aarch64", (4, 6, 8), (8, 16), (25, 60), (100, 400),
         (0.5, 3.0), slots=1, load_gb_per_s=0.4, lost_per_hour=0.1),
    Kind("workstation", 0.09, "Linux x86_64", (16, 24, 32), (64, 128), (250, 900), (8000, 30000),
         (0.2, 0.5), slots=8, batch_cost=0.1, owner=True),
    # A Pi 5: LPDDR4X of 17 GB/s on paper, four A76 with int8 dot products, a card for a disk.
    Kind("raspberry-pi", 0.07, "Linux aarch64", (4,), (8, 16), (9, 13), (60, 110),
         (0.5, 6.0), slots=1, load_gb_per_s=0.09, jitter=0.3, lost_per_hour=0.1),
    # M4 Max to M3 Ultra.
    Kind("mac-studio", 0.04, "macOS arm64", (16, 24, 32), (64, 96, 128), (410, 800),
         (8000, 17000), (0.2, 0.5), slots=8, batch_cost=0.2),
)  # fmt: skip

# name, parameters in billions, bytes of the file in GB, quantisation
_CATALOGUE = (
    ("qwen3-0.6b", 0.6, 0.64, "Q8_0"),
    ("llama-3.2-1b", 1.2, 1.32, "Q8_0"),
    ("llama-3.2-3b", 3.2, 2.02, "Q4_K_M"),
    ("qwen2.5-coder-7b", 7.6, 4.68, "Q4_K_M"),
    ("llama-3.1-8b", 8.0, 4.92, "Q4_K_M"),
    ("gemma-3-12b", 11.8, 7.30, "Q4_K_M"),
    ("qwen3-32b", 32.8, 19.8, "Q4_K_M"),
)


def catalogue() -> tuple[Model, ...]:
    """The models that the played machines choose from, the smallest first."""
    return tuple(
        Model(
            identity=ModelIdentity(_digest(name), _digest(f"{name} template"), quantisation),
            names=(name,),
            architecture=name.partition("-")[0],
            parameters=int(billions * 1e9),
            size_bytes=int(gigabytes * 1e9),
            context_tokens=32_768,
        )
        for name, billions, gigabytes, quantisation in _CATALOGUE
    )


@dataclass(frozen=True, slots=True)
class Held:
    """A model on a desk: the offer, and how it would be served."""

    offer: Offer
    warm: ReplicaStatus  # what the node reports once it is loaded
    load_s: float
    warm_at_first: bool

    @property
    def at_first(self) -> ReplicaStatus:
        if self.warm_at_first:
            return self.warm
        return ReplicaStatus(ReplicaState.AVAILABLE, slots=self.warm.slots)


@dataclass(frozen=True, slots=True)
class Desk:
    """One machine, its models and its habits."""

    node_id: NodeId
    kind: Kind
    machine: Machine
    held: tuple[Held, ...]
    rtt_s: float
    on_battery: bool
    owner_share: float  # of the day that its owner keeps it busy
    beside_coordinator: bool = False  # on the coordinator's own host


def desks(count: int, rng: Random) -> tuple[Desk, ...]:
    """Draw ``count`` machines; the first one also runs the coordinator."""
    models = catalogue()
    drawn = rng.choices(KINDS, weights=[kind.share for kind in KINDS], k=max(0, count - 1))
    numbers: dict[str, int] = {}
    made = []
    for index, kind in enumerate([KINDS[0], *drawn][:count]):
        numbers[kind.name] = numbers.get(kind.name, 0) + 1
        name = f"{kind.name}-{numbers[kind.name]:02}"
        made.append(desk(name, kind, models, rng, beside_coordinator=index == 0))
    return tuple(made)


def desk(
    name: str, kind: Kind, models: Sequence[Model], rng: Random, *, beside_coordinator: bool = False
) -> Desk:
    """Draw one machine of a kind, which holds up to three of ``models``."""
    memory_bytes = rng.choice(kind.memory_gib) * GIB
    machine = Machine(name, kind.platform, rng.choice(kind.cores), memory_bytes, VERSION)
    read_gb_per_s = rng.uniform(*kind.read_gb_per_s)
    prefill_gflops = rng.uniform(*kind.prefill_gflops)
    room = memory_bytes * MEMORY_FOR_MODELS
    fitting = [model for model in models if model.size_bytes < room]
    kept = rng.sample(fitting, k=min(len(fitting), rng.randint(1, HELD_MAX)))
    kept.sort(key=lambda model: -model.parameters)
    held = []
    for model in kept:
        warm_at_first = model.size_bytes < room and rng.random() < 0.7
        if warm_at_first:
            room -= model.size_bytes
        held.append(_held(model, kind, read_gb_per_s, prefill_gflops, warm_at_first))
    return Desk(
        node_id=NodeId(_digest(name)),
        kind=kind,
        machine=machine,
        held=tuple(held),
        rtt_s=0.0001 if beside_coordinator else rng.uniform(*kind.rtt_ms) / 1000,
        on_battery=kind.battery and rng.random() < 0.4,
        owner_share=rng.uniform(0.05, 0.35) if kind.owner else 0.0,
        beside_coordinator=beside_coordinator,
    )


def _held(
    model: Model, kind: Kind, read_gb_per_s: float, prefill_gflops: float, warm_at_first: bool
) -> Held:
    warm = ReplicaStatus(
        state=ReplicaState.WARM,
        slots=kind.slots,
        prefill_tokens_per_s=prefill_gflops * 1e9 / (2 * model.parameters),
        decode_tokens_per_s=0.8 * read_gb_per_s * 1e9 / model.size_bytes,
        load_s=0.5 + model.size_bytes / (1e9 * kind.load_gb_per_s),
        numerics=kind.platform,
    )
    capabilities = frozenset(
        {
            Capability.RESUME,
            Capability.LOGPROBS,
            Capability.GRAMMAR,
            Capability.GBNF,
            Capability.TOOLS,
        }
    )
    return Held(Offer(model, CONTEXT_TOKENS, capabilities), warm, warm.load_s, warm_at_first)


def _digest(name: str) -> str:
    return sha256(name.encode()).hexdigest()
