"""What routing must know of a prompt, worked out once where it enters the mesh.

The prompt itself goes no further than this towards the fleet: what comes of it are names of rules
and numbers.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from mesh.core.asked import Assessment
from mesh.core.facts import MINUTES_A_DAY
from mesh.core.rule_words import LOOKED_AT_CHARACTERS
from mesh.core.rules import Rules
from mesh.v1 import inference_pb2 as inference
from mesh.wire.prompt_text import newest_text


@dataclass(frozen=True, slots=True)
class Budget:
    """The day's money for the cloud, in micro-USD."""

    microusd: int
    left_microusd: int


def no_budget() -> Budget | None:
    """Where nothing may be spent, nothing can run short."""
    return None


class Assessing:
    """Looks at prompts with an operator's rules in mind. Costs nothing where there are none."""

    def __init__(
        self,
        rules: Rules,
        *,
        local_time: Callable[[], time.struct_time] = time.localtime,
        budget: Callable[[], Budget | None] = no_budget,
    ) -> None:
        """``local_time`` is that of the coordinator's machine, as rules mean it; the ``budget`` is
        asked for only where a rule looks at it: it is a sum."""
        self._rules = rules
        self._local_time = local_time
        self._budget = budget

    def assess(self, request: inference.GenerateRequest, known: Assessment) -> Assessment:
        """Add to what is ``known`` of a request what its prompt and the hour say."""
        if not self._rules:
            return known
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
