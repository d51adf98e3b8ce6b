"""Policies: a name, and what it weighs. All that a policy is stands in one row here.

To add one, add a row to ``BUILT_IN``; operators add theirs as ``[policies.NAME]`` in the settings.

What is weighed are predicted seconds. A person feels the first token most: in a toy simulation of
unequal nodes at 80 % load the p99 first token was 29 s for least loaded, 16 s for earliest
completion, 4.4 s for earliest first token. What strains a machine's owner raises its cost: at 0.5,
a machine that is strained wholly counts as if it took half as long again.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from typing import ClassVar, Final

POLICY_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
WEIGHT_MAX: Final = 1000.0


class Order(StrEnum):
    """Which model ``auto`` tries first, while no scorer says which is good enough."""

    LARGEST = "largest"
    SMALLEST = "smallest"
    ANY = "any"  # whichever is predicted to be the quickest


@dataclass(frozen=True, slots=True)
class Policy:
    """What to prefer where several answers would do."""

    BALANCED: ClassVar["Policy"]
    BEST: ClassVar["Policy"]
    FAST: ClassVar["Policy"]
    FRUGAL: ClassVar["Policy"]
    PRIVATE: ClassVar["Policy"]

    name: str
    first_token: float = 1.0  # weight of each second until it
    completion: float = 0.1  # weight of each second until the last token
    battery: float = 0.5  # by how much a battery that empties raises the cost, at most
    heat: float = 0.5
    owner: float = 0.5  # somebody else's work on the machine
    models: Order = Order.LARGEST
    target: float = 0.8  # P(ok) from which on a cheaper model is good enough
    cascade: bool = True  # may a cheaper one be tried whose answer is judged?
    risk: float = 0.1  # share of accepted answers of such a try that may be wrong
    hold_tokens: int = 24  # of an answer that is judged, before any of it is shown
    cloud: bool = True  # may answer what asked for no model by name, where tier and budget allow

    def __str__(self) -> str:
        return self.name

    def weigh(self, first_token_s: float, completion_s: float) -> float:
        return self.first_token * first_token_s + self.completion * completion_s

    def factor(self, battery: float, heat: float, owner: float) -> float:
        """By how much strains, shares in [0, 1], raise the cost. At least 1."""
        return 1.0 + self.battery * battery + self.heat * heat + self.owner * owner


BUILT_IN: Final = (
    Policy(
        "frugal",
        battery=1.0,
        heat=1.0,
        owner=1.0,
        models=Order.SMALLEST,
        target=0.6,
        risk=0.2,
    ),
    Policy("balanced"),
    # Nothing is good enough but what is likeliest to be right.
    Policy("best", target=1.0, cascade=False),
    # For callers that wait for the whole answer.
    Policy("fast", 0.2, 1.0, battery=0.0, heat=0.0, owner=0.0, models=Order.ANY, cascade=False),
    Policy("private", cloud=False),
)
Policy.FRUGAL, Policy.BALANCED, Policy.BEST, Policy.FAST, Policy.PRIVATE = BUILT_IN


def policies(own: Iterable[Policy] = ()) -> dict[str, Policy]:
    """Return all there are, by name. An operator's ``own`` takes the place of one built in."""
    return {each.name: each for each in (*BUILT_IN, *own)}


def in_words(name: str, known: Mapping[str, Policy]) -> str:
    """Say what to use instead of an unknown ``name``."""
    near = get_close_matches(name, known, n=1)
    meant = f"did you mean {near[0]}? " if near else ""
    return f"{meant}use {', '.join(known)}"
