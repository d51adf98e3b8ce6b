"""Models that wait until busy ones leave them memory, and when their turn comes. Pure.

1. Whoever is refused has a claim. Once its model fits, that is told, and whoever still wants it
   takes it.
2. A claim that waited for ``PATIENCE_S`` is ripe. Then those that are in its way take no new work,
   nothing else is loaded, and as soon as they have ended it is loaded at once. So nobody starves,
   however much is asked of the others.
3. Nobody tells us that a wish has passed. So a claim has to be renewed: it is told as free after
   ``CLAIM_S``, and forgotten if nobody comes.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from node_agent.budget import Fits, Later, Verdict

# Long enough for a load to be worth it: two models that never fit together take turns of this
# length at least, and a small model loads in a second or two.
PATIENCE_S = 10.0
LOADS_WORTH = 2.0  # and at least so many times as long as the load itself
CLAIM_S = 60.0  # a wish that passed costs one load in vain at most
CLAIMS_MAX = 64  # models that wait at a time; one more is refused all the same, and asks again


@dataclass(slots=True)
class _Claim:
    since_s: float
    ripe_s: float
    until_s: float
    blocked: bool = True  # False: told as free, and not taken yet


@dataclass(slots=True)
class Turn:
    """What follows from a look at the claims."""

    load: int | None = None  # this one, now; ``forget`` it then
    freed: list[int] = field(default_factory=list)  # no longer waits; tell whoever wants it
    yields: frozenset[int] = frozenset()  # those that take no new work


class Turns:
    """Claims by the keys of their models, the oldest first."""

    def __init__(self) -> None:
        self._claims: dict[int, _Claim] = {}

    def __len__(self) -> int:
        return len(self._claims)

    def waits(self, key: int) -> bool:
        """Is it of no use to ask for this model now?"""
        return key in self._claims and self._claims[key].blocked

    def want(self, key: int, now_s: float, load_s: float = 0.0) -> None:
        """Somebody was refused. ``load_s``: what a load of the model takes, 0.0 if unknown."""
        claim = self._claims.get(key)
        if claim is not None:
            claim.blocked, claim.until_s = True, now_s + CLAIM_S
        elif len(self._claims) < CLAIMS_MAX:
            patience_s = max(PATIENCE_S, LOADS_WORTH * load_s)
            self._claims[key] = _Claim(now_s, now_s + patience_s, now_s + patience_s + CLAIM_S)

    def clear(self) -> None:
        """Nobody claims anything any more."""
        self._claims.clear()

    def forget(self, key: int) -> None:
        """It is loaded, or gone."""
        self._claims.pop(key, None)

    def first(self, now_s: float) -> int | None:
        """Return the oldest ripe claim: nothing else may be loaded now."""
        for key, claim in self._claims.items():
            if claim.blocked and now_s >= claim.ripe_s:
                return key
        return None

    def look(self, now_s: float, verdict_of: Callable[[int], Verdict]) -> Turn:
        """Decide what follows from who is in memory now, and from the time that passed."""
        turn = Turn()
        for key, claim in list(self._claims.items()):
            if now_s >= claim.until_s:
                self._lapse(key, claim, now_s, turn)
        first = self.first(now_s)
        if first is not None:
            self._serve(first, verdict_of(first), turn)
            return turn
        for key, claim in self._claims.items():
            if claim.blocked and not isinstance(verdict_of(key), Later):
                claim.blocked = False
                turn.freed.append(key)
        return turn

    def _serve(self, key: int, verdict: Verdict, turn: Turn) -> None:
        match verdict:
            case Later(in_its_way):
                turn.yields = frozenset(in_its_way)
            case Fits():
                turn.load = key
            case _:  # other programs took its place: who asks again is told so
                turn.freed.append(key)
                del self._claims[key]

    def _lapse(self, key: int, claim: _Claim, now_s: float, turn: Turn) -> None:
        if not claim.blocked:
            del self._claims[key]
            return
        claim.blocked, claim.until_s = False, now_s + CLAIM_S
        turn.freed.append(key)
