"""What is known of a request beside its prompt: who began it, what it is about, who may answer.

The prompt stays at the edge. What routing must know of it is worked out there, once, and comes
along as a few numbers and words.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

SMALL, BIG = "generic:small", "generic:big"  # heads for models that have none of their own
NOBODY: Final[Mapping[str, float]] = {}


@dataclass(frozen=True, slots=True)
class Origin:
    """Who or what began a request."""

    initiator: str = ""  # "human", "agent", "event"; "" where nobody told
    team: str = ""
    task: str = ""  # requests of one task share it
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Assessment:
    """What the edge made out of a prompt.

    Attributes:
        domain: "networking", ...: pinned by the caller, or recognised; "" if neither.
        task_class: prompts of one class are alike in how far a model's confidence is to be
            believed; "" where nothing was assessed.
        p_ok: head of the scorer -> P(its model's answer is right), in (0, 1); worked out when asked
            for.
        trusted: those of the heads that have seen enough labels.
        foreign: the prompt reads like none that the scorer has learned from: no head is to be
            believed about it.
        calls_worked: share of the tool results since the last answer that tell of a call that
            worked; None: there are none.
        words_matched: names of the operator's rules whose words are in the prompt.
        minute_of_week: local time where the coordinator is, from Monday 00:00; -1: not told.
        budget_microusd, budget_left_microusd: of the day, for the cloud; None: there is none.
    """

    domain: str = ""
    task_class: str = ""
    p_ok: Mapping[str, float] = field(default_factory=dict, hash=False)
    trusted: frozenset[str] = frozenset()
    foreign: bool = False
    calls_worked: float | None = None
    words_matched: frozenset[str] = frozenset()
    minute_of_week: int = -1
    budget_microusd: int | None = None
    budget_left_microusd: int | None = None


NO_ORIGIN: Final = Origin()
NOT_ASSESSED: Final = Assessment()
