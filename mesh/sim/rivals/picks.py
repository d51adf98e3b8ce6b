"""The picks that everybody knows: round robin, least loaded, power of two choices."""

from bisect import bisect_left, insort
from heapq import heappop, heappush
from random import Random

from mesh.core.types import Request
from mesh.sim.rivals.plain_fleet import View


class Ranked:
    """Free machines by a rank that does not depend on the request; the least first.

    A changed machine is entered anew; its older entries are dropped as they come up.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[tuple[float, ...], int, int, View]] = []
        self._current: dict[int, int] = {}  # machine -> number of its entry that holds
        self._entered = 0

    def enter(self, view: View, rank: tuple[float, ...]) -> None:
        self._entered += 1
        self._current[view.number] = self._entered
        heappush(self._heap, (rank, view.number, self._entered, view))

    def leave(self, view: View) -> None:
        self._current.pop(view.number, None)

    def first(self) -> tuple[tuple[float, ...], View] | None:
        while self._heap:
            rank, number, entered, view = self._heap[0]
            if self._current.get(number) == entered:
                return rank, view
            heappop(self._heap)
        return None


class LeastLoaded:
    """Least in flight / slots; ties are drawn, so that nobody is always first."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._ranked = Ranked()

    def reported(self, view: View) -> None:
        pass

    def changed(self, view: View) -> None:
        if view.free:
            self._ranked.enter(view, (view.in_flight / view.status.slots, self._rng.random()))
        else:
            self._ranked.leave(view)

    def pick(self, request: Request) -> View | None:
        first = self._ranked.first()
        return first[1] if first else None


class Free:
    """Free machines in a list and in order of their numbers, so that any one is found quickly."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.views: dict[int, View] = {}

    def changed(self, view: View) -> None:
        if view.free == (view.number in self.views):
            return
        if view.free:
            self.views[view.number] = view
            insort(self.numbers, view.number)
        else:
            del self.views[view.number]
            del self.numbers[bisect_left(self.numbers, view.number)]


class RoundRobin:
    """Everybody in turn, and past those who are full."""

    def __init__(self) -> None:
        self._free = Free()
        self._next = 0

    def reported(self, view: View) -> None:
        pass

    def changed(self, view: View) -> None:
        self._free.changed(view)

    def pick(self, request: Request) -> View | None:
        numbers = self._free.numbers
        if not numbers:
            return None
        place = bisect_left(numbers, self._next) % len(numbers)
        self._next = numbers[place] + 1
        return self._free.views[numbers[place]]


class PowerOfTwo:
    """The less loaded (in flight / slots) of two free machines drawn at random.

    Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001.
    """

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._free = Free()

    def reported(self, view: View) -> None:
        pass

    def changed(self, view: View) -> None:
        self._free.changed(view)

    def pick(self, request: Request) -> View | None:
        numbers = self._free.numbers
        if not numbers:
            return None
        drawn = [numbers[int(self._rng.random() * len(numbers))] for _ in range(2)]
        views = [self._free.views[number] for number in drawn]
        return min(views, key=lambda view: view.in_flight / view.status.slots)
