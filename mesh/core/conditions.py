"""When a rule applies: what must be true of a request. All that is given must be.

A list is any of its members. Names are patterns (``mesh.core.glob``), in any case.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from mesh.core.facts import Facts
from mesh.core.glob import is_pattern, matches
from mesh.core.types import Tier
from mesh.core.week import Windows

Check = Callable[[Facts], bool]
UNLESS: Final = "unless "  # before a rule's name: its exception's words


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What an operator asks of a request. Whatever is None or empty asks nothing.

    Attributes:
        words: in the prompt; the edge looks for them (``mesh.core.rule_words``).
        hours, weekdays: local time where the coordinator is, see ``mesh.core.week``.
        budget_left_below: share of the day's budget, in (0, 1]; without a budget it never holds.
    """

    tier: tuple[Tier, ...] = ()
    key: tuple[str, ...] = ()
    team: tuple[str, ...] = ()
    task: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    initiator: tuple[str, ...] = ()
    domain: tuple[str, ...] = ()
    model: tuple[str, ...] = ()
    tools: bool | None = None
    prompt_bytes_min: int | None = None
    prompt_bytes_max: int | None = None
    words: tuple[str, ...] = ()
    hours: tuple[str, ...] = ()
    weekdays: tuple[str, ...] = ()
    budget_left_below: float | None = None
    budget_left_below_microusd: int | None = None

    @property
    def asks_for_budget(self) -> bool:
        return self.budget_left_below is not None or self.budget_left_below_microusd is not None


ALWAYS: Final = Conditions()


def checks_of(when: Conditions, words_key: str) -> tuple[Check, ...]:
    """Make conditions ready to be asked often, the cheapest first. All must hold.

    Args:
        words_key: what the edge puts into ``Facts.words_matched`` if the words are in the prompt.

    Raises:
        ValueError: hours or weekdays are none.
    """
    checks: list[Check] = []
    if when.tier:
        tiers = frozenset(when.tier)
        checks.append(lambda facts: facts.tier in tiers)
    if (tools := when.tools) is not None:
        checks.append(lambda facts: facts.tools is tools)
    if when.words:
        checks.append(lambda facts: words_key in facts.words_matched)
    if when.initiator:
        initiators = frozenset(when.initiator)
        checks.append(lambda facts: facts.initiator in initiators)
    checks += _of_names(when)
    checks += _of_sizes(when)
    if when.hours or when.weekdays:
        windows = Windows(when.hours, when.weekdays)
        checks.append(lambda facts: windows.has(facts.minute_of_week))
    return tuple(checks)


def _of_names(when: Conditions) -> list[Check]:
    checks: list[Check] = []
    if (team := _names(when.team)) is not None:
        checks.append(lambda facts: team(facts.team))
    if (domain := _names(when.domain)) is not None:
        checks.append(lambda facts: domain(facts.domain))
    if (model := _names(when.model)) is not None:
        checks.append(lambda facts: model(facts.model))
    if (task := _names(when.task)) is not None:
        checks.append(lambda facts: task(facts.task))
    if (key := _names(when.key)) is not None:
        checks.append(lambda facts: key(facts.key) or key(facts.key_name))
    if (tag := _names(when.tags)) is not None:
        checks.append(lambda facts: any(tag(each) for each in facts.tags))
    return checks


def _names(texts: tuple[str, ...]) -> Callable[[str], bool] | None:
    """Return a test for any of ``texts``. A name that nobody told is like none of them, but ""."""
    if not texts:
        return None
    lower = [text.strip().lower() for text in texts]
    exact = frozenset(text for text in lower if not is_pattern(text))
    patterns = tuple(text for text in lower if is_pattern(text))
    if not patterns:
        return exact.__contains__
    return lambda name: (
        name in exact or (name != "" and any(matches(pattern, name) for pattern in patterns))
    )


def _of_sizes(when: Conditions) -> list[Check]:
    checks: list[Check] = []
    if (least := when.prompt_bytes_min) is not None:
        checks.append(lambda facts: facts.prompt_bytes >= least)
    if (most := when.prompt_bytes_max) is not None:
        checks.append(lambda facts: facts.prompt_bytes <= most)
    if (below := when.budget_left_below_microusd) is not None:
        checks.append(
            lambda facts: (
                facts.budget_left_microusd is not None and facts.budget_left_microusd < below
            )
        )
    if (share := when.budget_left_below) is not None:
        checks.append(lambda facts: _left(facts) < share)
    return checks


def _left(facts: Facts) -> float:
    """The share of the day's budget that is left; all where there is none, or nobody knows."""
    if facts.budget_left_microusd is None or facts.budget_microusd is None:
        return 1.0
    return facts.budget_left_microusd / max(1, facts.budget_microusd)
