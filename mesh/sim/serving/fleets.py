"""The machines of a measured mesh: unequal ones as desks have them, or all alike.

Both hold one model, of 3 billion parameters at 4 bits: the largest that every kind down to a
Raspberry Pi has room for, so that each request has every machine to choose from and the pick alone
makes the difference. The mix of kinds is that of ``mesh.sim.profiles``, by exact shares and not by
chance, so that meshes of any size have the same strength a node. Three in ten unequal machines have
the model on disk only: whoever is sent there first waits for its load.
"""

from dataclasses import replace
from random import Random

from mesh.core.types import Model
from mesh.sim.profiles import KINDS, Desk, Kind, catalogue, desk

MODEL_NAME = "llama-3.2-3b"
# The commonest kind, every value in the middle of its range.
_MINI = next(kind for kind in KINDS if kind.name == "mac-mini")
EQUAL = replace(
    _MINI, read_gb_per_s=(125, 125), prefill_gflops=(3500, 3500), rtt_ms=(0.5, 0.5), share=1.0
)


def model() -> Model:
    """Return the model that every machine holds."""
    return next(each for each in catalogue() if each.name == MODEL_NAME)


def unequal(count: int, rng: Random) -> tuple[Desk, ...]:
    """Draw ``count`` machines of all kinds, in an order that tells nothing."""
    held = (model(),)
    kinds = [kind for kind, share in apportioned(count) for _ in range(share)]
    rng.shuffle(kinds)
    return tuple(
        desk(f"{kind.name}-{number:05}", kind, held, rng) for number, kind in enumerate(kinds)
    )


def equal(count: int, rng: Random) -> tuple[Desk, ...]:
    """Return ``count`` machines that differ in nothing but names; the model is warm on all."""
    held = (model(),)
    drawn = [desk(f"{EQUAL.name}-{number:05}", EQUAL, held, rng) for number in range(count)]
    return tuple(
        replace(each, held=tuple(replace(one, warm_at_first=True) for one in each.held))
        for each in drawn
    )


def apportioned(count: int) -> list[tuple[Kind, int]]:
    """Divide ``count`` machines among the kinds by their shares, largest remainders first."""
    exact = [(kind, count * kind.share) for kind in KINDS]
    whole = [(kind, int(each)) for kind, each in exact]
    missing = count - sum(each for _, each in whole)
    by_remainder = sorted(exact, key=lambda each: int(each[1]) - each[1])
    lucky = {kind.name for kind, _ in by_remainder[:missing]}
    return [(kind, each + (kind.name in lucky)) for kind, each in whole]
