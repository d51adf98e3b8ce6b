"""Who asks, and when: open-loop Poisson arrivals, drawn once and played to every side alike."""

from dataclasses import dataclass
from math import inf
from random import Random

from mesh.core.types import Policy, Request, RequestKey, Tier
from mesh.sim.serving.lengths import HABITS, draw

CLIENTS_PER_HABIT = 40  # a client has one habit, as a program or a person has


@dataclass(frozen=True, slots=True)
class Ask:
    """One request, with what only the world knows of it."""

    at_s: float
    request: Request
    prompt_tokens: int
    output_tokens: int


def poisson(model: str, *, per_s: float, from_s: float, until_s: float, rng: Random) -> list[Ask]:
    """Draw all that is asked of ``model`` between two moments, in order."""
    asks: list[Ask] = []
    shares = [habit.share for habit in HABITS]
    at_s = from_s + rng.expovariate(per_s)
    while at_s < until_s:
        (habit,) = rng.choices(HABITS, weights=shares)
        lengths = draw(habit, rng)
        client = f"client:{habit.name}-{rng.randrange(CLIENTS_PER_HABIT)}"
        request = Request(
            key=RequestKey(client, f"r{len(asks)}"),
            model=model,
            tier=Tier.MESH,
            policy=Policy.BALANCED,
            prompt_bytes=lengths.prompt_bytes,
            max_tokens=habit.tokens_max,
            deadline_s=inf,
        )
        asks.append(Ask(at_s, request, lengths.prompt_tokens, lengths.output_tokens))
        at_s += rng.expovariate(per_s)
    return asks
