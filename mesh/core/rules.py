"""Rules: an ordered list that says which models may answer a request, and which rather.

How to read a list, from top to bottom:

1. **Every rule that matches applies.** None ends the list, and none undoes another one.
2. ``allow``, ``forbid``, ``pin`` and ``tier_max`` only ever take models away. So whatever one rule
   forbids stays forbidden, wherever it stands, and a rule more can never open what was closed.
3. ``pin`` is for one place: of several rules that match, the first one's pin counts. It is hard:
   where what it names is not there, the request is refused and says so. ``prefer`` is soft.
4. ``prefer`` puts models first: those of the first rule before those of the next. What was taken
   away is not put first.
5. Of several caps on what a request may cost, the least counts; of several ``tier_max`` as well.
6. An exception stands in the rule itself: ``unless``.

A rule that matches and takes nothing away is told as well: its reader wants to know that it was
looked at.
"""

from collections.abc import Callable, Sequence
from typing import Final

from mesh.core.catalogue import Entry
from mesh.core.conditions import UNLESS, checks_of
from mesh.core.facts import Facts
from mesh.core.rule_words import Words
from mesh.core.verdict import NOTHING_SAID as NOTHING_SAID  # noqa: PLC0414 - whoever asks rules
from mesh.core.verdict import Applied as Applied  # noqa: PLC0414 - gets these back
from mesh.core.verdict import Judgement, Rule, Sentence, sentences_of
from mesh.core.verdict import Verdict as Verdict  # noqa: PLC0414

RULES_MAX: Final = 256  # more than anybody reads; all of them are looked at for each request

Checks = tuple[Callable[[Facts], bool], ...]


class Rules:
    """An operator's list, made ready. Judging changes nothing."""

    def __init__(self, rules: Sequence[Rule] = ()) -> None:
        """Raises ValueError if a rule's hours or words are none; says whose."""
        self.rules = tuple(rules)
        self.words = Words(_words_of(self.rules))
        self._ready = tuple(_ready(rule) for rule in self.rules)

        self.ask_for_budget = any(
            each.asks_for_budget
            for rule in self.rules
            for each in (rule.when, rule.unless)
            if each is not None
        )

    def __bool__(self) -> bool:
        return bool(self._ready)

    def __repr__(self) -> str:
        return f"<Rules {', '.join(rule.name for rule in self.rules) or 'none'}>"

    def judge(self, facts: Facts, entries: Sequence[Entry]) -> Verdict:
        """Say which of ``entries`` may answer the request, which rather, and for how much.

        A rule that does not match takes as long as its first check that fails.
        """
        if not self._ready:
            return NOTHING_SAID
        matched: list[Sentence] = []
        for when, unless, sentences in self._ready:
            for check in when:
                if not check(facts):
                    break
            else:
                if unless is None or not all(check(facts) for check in unless):
                    matched += sentences
        return Judgement(facts, entries).of(matched) if matched else NOTHING_SAID


def _ready(rule: Rule) -> tuple[Checks, Checks | None, tuple[Sentence, ...]]:
    try:
        when = checks_of(rule.when, rule.name)
        unless = None if rule.unless is None else checks_of(rule.unless, UNLESS + rule.name)
    except ValueError as failure:
        raise ValueError(f"rule {rule.name!r}: {failure}") from None
    return when, unless, sentences_of(rule)


def _words_of(rules: Sequence[Rule]) -> dict[str, tuple[str, ...]]:
    words = {rule.name: rule.when.words for rule in rules if rule.when.words}
    words |= {
        UNLESS + rule.name: rule.unless.words for rule in rules if rule.unless and rule.unless.words
    }
    return words
