"""What rules look at: the facts of one request, and never its prompt."""

from dataclasses import dataclass
from typing import Final

from mesh.core.types import Capability, Request, Tier

MINUTES_A_DAY: Final = 24 * 60
MINUTES_A_WEEK: Final = 7 * MINUTES_A_DAY


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One request, as rules see it. Names are in lower case."""

    tier: Tier = Tier.MESH
    key: str = ""  # who asks: the principal
    key_name: str = ""  # of the API key, where one was shown
    team: str = ""
    task: str = ""
    tags: frozenset[str] = frozenset()
    initiator: str = ""  # "human", "agent", "event"; "" where nobody told
    domain: str = ""
    model: str = ""  # as it was asked for
    tools: bool = False
    prompt_bytes: int = 0
    on_coordinator_host: bool = False  # its prompt was typed where the coordinator runs
    words_matched: frozenset[str] = frozenset()  # rules whose words are in the prompt
    minute_of_week: int = -1  # local time from Monday 00:00; -1: not told
    budget_microusd: int | None = None  # of the day; None: there is none
    budget_left_microusd: int | None = None


def facts_of(request: Request, *, key_name: str = "") -> Facts:
    """Put together what rules may ask about a request."""
    origin, assessment = request.origin, request.assessment
    return Facts(
        tier=request.tier,
        key=request.key.principal.lower(),
        key_name=key_name.lower(),
        team=origin.team.lower(),
        task=origin.task.lower(),
        tags=frozenset([tag.lower() for tag in origin.tags]) if origin.tags else _NO_TAGS,
        initiator=origin.initiator,
        domain=assessment.domain.lower(),
        model=request.model.lower(),
        tools=Capability.TOOLS in request.needs,
        prompt_bytes=request.prompt_bytes,
        on_coordinator_host=request.from_coordinator_host,
        words_matched=assessment.words_matched,
        minute_of_week=assessment.minute_of_week,
        budget_microusd=assessment.budget_microusd,
        budget_left_microusd=assessment.budget_left_microusd,
    )


_NO_TAGS: Final[frozenset[str]] = frozenset()
