"""The line of requests that wait for a slot: bounded, by deadline, and fair between those who ask.

Each principal (an API key, a machine's own programs) has its own order: what is due first. The
principals take turns, one request each, so whoever sends a thousand delays others by one answer and
not by a thousand. Turns are counted as in start-time fair queueing (Goyal, Vin and Cheng, SIGCOMM
1996): who comes anew starts at the turn that is being served, neither behind nor ahead.
"""

import heapq
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from mesh.core.asked import NO_ORIGIN, NOT_ASSESSED
from mesh.core.types import Policy, Request, RequestKey, no_hashes

# A request is due at its deadline, or so long after it came: one that allows a whole night still
# gets its turn before those of its principal that came later, unless they are urgent.
PATIENCE_S = 30.0

_ANYONE = RequestKey("", "")
Entry = tuple[float, int, RequestKey]  # when it is due, the number of its arrival


@dataclass(slots=True)
class Line:
    """Kept apart by kind, so that a freed slot looks only at those it can serve.

    A kind is a request without what makes no difference to which replicas may serve it.
    """

    _by_kind: dict[Request, dict[str, list[Entry]]] = field(default_factory=dict)
    _places: dict[RequestKey, tuple[Request, Entry]] = field(default_factory=dict)
    _sizes: dict[Request, int] = field(default_factory=dict)
    _counts: dict[str, int] = field(default_factory=dict)  # principal -> how many wait
    _turns: dict[str, int] = field(default_factory=dict)  # principal -> its next turn
    _turn: int = 0  # that is being served

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, key: object) -> bool:
        return key in self._places

    def join(self, request: Request, number: int, now_s: float) -> None:
        """Enter the line with the ``number``-th request to arrive, which came at ``now_s``."""
        key, kind, principal = request.key, kind_of(request), request.key.principal
        assert key not in self._places, f"{key} waits already"
        due_s = now_s + PATIENCE_S
        entry = (min(due_s, request.deadline_s), number, key)
        self._places[key] = (kind, entry)
        insort(self._by_kind.setdefault(kind, {}).setdefault(principal, []), entry)
        self._sizes[kind] = self._sizes.get(kind, 0) + 1
        self._counts[principal] = self._counts.get(principal, 0) + 1
        self._turns.setdefault(principal, self._turn)

    def leave(self, key: RequestKey, *, served: bool = False) -> None:
        """Take a request out, if it is here; ``served`` if it used its principal's turn."""
        place = self._places.pop(key, None)
        if place is None:
            return
        kind, entry = place
        principal, group = key.principal, self._by_kind[kind]
        entries = group[principal]
        del entries[bisect_left(entries, entry)]
        self._sizes[kind] -= 1
        self._counts[principal] -= 1
        if served:
            self._turn = max(self._turn, self._turns[principal])
            self._turns[principal] += 1
        if not entries:
            del group[principal]
        if not group:
            del self._by_kind[kind], self._sizes[kind]
        if not self._counts[principal]:
            del self._counts[principal], self._turns[principal]

    def kinds(self) -> Iterable[Request]:
        """What is waited for."""
        return self._by_kind.keys()

    def without_rungs(self) -> list[Request]:
        """Which kinds wait though no model that is known may answer them? For one that is not."""
        return [kind for kind in self._by_kind if kind.plan is not None and not kind.plan.rungs]

    def all(self) -> list[RequestKey]:
        return list(self._places)

    def waiting_for(self, kinds: Iterable[Request]) -> Iterator[RequestKey]:
        """Yield those of these ``kinds`` in the order in which they are to be served.

        As the line stands now: whoever leaves it meanwhile is yielded all the same.
        """
        waiting: dict[str, list[list[Entry]]] = {}
        for kind in kinds:
            for principal, entries in self._by_kind[kind].items():
                waiting.setdefault(principal, []).append(list(entries))
        turns = []
        for principal, lists in waiting.items():
            merged = iter(lists[0]) if len(lists) == 1 else heapq.merge(*lists)
            first = next(merged)
            turns.append((self._turns[principal], first[:2], principal, first[2], merged))
        heapq.heapify(turns)
        while turns:
            turn, _, principal, key, merged = turns[0]
            yield key
            if (after := next(merged, None)) is None:
                heapq.heappop(turns)
            else:
                heapq.heapreplace(turns, (turn + 1, after[:2], principal, after[2], merged))

    def ahead_of(self, request: Request) -> int:
        """Return how many are likely to be served before one that joins with ``request``."""
        if not self._places:
            return 0
        kind, principal = kind_of(request), request.key.principal
        same = self._sizes.get(kind, 0)
        if not same:
            return 0
        group = self._by_kind[kind]
        own = len(group.get(principal, ()))
        return min(same, own + (len(group) - (principal in group)) * (own + 1))

    def displaced_by(self, principal: str) -> RequestKey | None:
        """Return who makes room for a request of ``principal`` in a line that is full.

        The last of whoever has the most in it; None if that is no more than ``principal`` itself.
        """
        most = max(self._counts, key=self._counts.__getitem__, default=None)
        if most is None or self._counts[most] <= self._counts.get(principal, 0) + 1:
            return None
        return max(group[most][-1] for group in self._by_kind.values() if most in group)[2]


def kind_of(request: Request) -> Request:
    """Return what ``request`` has in common with others that the same replicas may serve.

    The prompt's length is left out: it matters, but every one has its own.
    """
    return replace(
        request,
        key=_ANYONE,
        policy=Policy.BALANCED,
        prompt_bytes=0,
        max_tokens=0,
        deadline_s=0.0,
        session="",
        explain=False,
        resumed_tokens=0,
        origin=NO_ORIGIN,
        assessment=NOT_ASSESSED,
        hold_tokens=0,
        cost_microusd_max=0,
        accept_substitute=False,
        accept_restart=False,
        block_hashes=no_hashes,
    )
