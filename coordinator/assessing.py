"""What routing must know of a prompt, worked out once where it enters the mesh.

The prompt itself goes no further than this towards the fleet: what comes of it are names of rules
and numbers.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from mesh.core.asked import Assessment
from mesh.core.calibration import ConfidenceHead
from mesh.core.call_results import share_worked
from mesh.core.domains import recognised
from mesh.core.facts import MINUTES_A_DAY
from mesh.core.features import (
    HEAD_CHARACTERS,
    TAIL_CHARACTERS,
    domain_buckets,
    prompt_features,
)
from mesh.core.rule_words import LOOKED_AT_CHARACTERS
from mesh.core.rules import Rules
from mesh.core.scorer import JUDGES_OF, Scorer
from mesh.core.types import AUTO
from mesh.v1 import inference_pb2 as inference
from mesh.wire.prompt_text import call_results, newest_text, question

SCORED_CHARACTERS = 2 * (HEAD_CHARACTERS + TAIL_CHARACTERS)  # of which the scorer reads its part
_AUTOMATIC = frozenset({"", AUTO})


@dataclass(frozen=True, slots=True)
class Budget:
    """The day's money for the cloud, in micro-USD."""

    microusd: int
    left_microusd: int


def no_budget() -> Budget | None:
    """Where nothing may be spent, nothing can run short."""
    return None


class Assessing:
    """Looks at prompts: with an operator's rules in mind, and with a scorer's eyes."""

    def __init__(
        self,
        rules: Rules,
        *,
        scorer: Scorer | None = None,
        local_time: Callable[[], time.struct_time] = time.localtime,
        budget: Callable[[], Budget | None] = no_budget,
    ) -> None:
        """Args:
        scorer: says how likely each model is right; None: nobody does.
        local_time: that of the coordinator's machine, as rules mean it.
        budget: asked for only where a rule looks at it: it is a sum.
        """
        self._rules = rules
        self._scorer = scorer
        self._trusted = frozenset() if scorer is None else scorer.trusted
        self._local_time = local_time
        self._budget = budget

    def assess(self, request: inference.GenerateRequest, known: Assessment) -> Assessment:
        """Add to what is ``known`` of a request what its prompt and the hour say."""
        if self._scorer is not None and request.model in _AUTOMATIC:
            known = self._scored(request, known, self._scorer)
            known = replace(known, calls_worked=share_worked(call_results(request)))
        return self._for_rules(request, known) if self._rules else known

    def _scored(
        self, request: inference.GenerateRequest, known: Assessment, scorer: Scorer
    ) -> Assessment:
        """The domain that the caller pinned is believed; another one is recognised by its words.

        Of a prompt that reads like none that the scorer has learned from, nobody knows anything.
        """
        features = prompt_features(question(request, SCORED_CHARACTERS))
        found = recognised(features, scorer.domains)
        domain = known.domain or found.domain
        if domain:
            features = replace(features, domain=domain_buckets(domain))
        chances = scorer.p_ok(features)
        return replace(
            known,
            domain=domain,
            task_class=domain,
            p_ok=chances,
            trusted=self._trusted,
            foreign=found.foreign and not domain,
        )

    def _for_rules(self, request: inference.GenerateRequest, known: Assessment) -> Assessment:
        words = self._rules.words
        prompt = newest_text(request, LOOKED_AT_CHARACTERS) if words else ""
        now = self._local_time()
        budget = self._budget() if self._rules.ask_for_budget else None
        return replace(
            known,
            words_matched=words.matched(prompt),
            minute_of_week=now.tm_wday * MINUTES_A_DAY + now.tm_hour * 60 + now.tm_min,
            budget_microusd=None if budget is None else budget.microusd,
            budget_left_microusd=None if budget is None else budget.left_microusd,
        )


def judging_heads(scorer: Scorer) -> dict[tuple[str, str], ConfidenceHead]:
    """Return the heads that judge answers, by model and task class: by domains, that is."""
    heads = {}
    for name, head in scorer.confidence.items():
        model, parted, domain = name.rpartition(JUDGES_OF)
        if parted:
            heads[model, domain] = head
    return heads
