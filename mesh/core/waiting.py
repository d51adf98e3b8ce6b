"""Those who wait for a slot: who gets one that came free, and who waits in vain."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from mesh.core.actions import Action
from mesh.core.admission import DECLINED_MAX, in_time, waited_enough
from mesh.core.books import Books
from mesh.core.choosing import Choosing
from mesh.core.filter import beginning_on, can_begin_on, hopeful
from mesh.core.finding import Finding
from mesh.core.node import Node
from mesh.core.progress import Progress
from mesh.core.routing import Placed, had_better_wait, place_now
from mesh.core.types import NodeId, Request


@dataclass(frozen=True, slots=True)
class Waiting:
    """Serves the line in its order; ``place`` and ``start`` are the steps of ``Dispatch``."""

    books: Books
    rng: Random
    choosing: Choosing
    finding: Finding
    place: Callable[[Progress, float], list[Action]]
    start: Callable[[Progress, Placed, float], Action]

    def slots_freed(self, node_id: NodeId, now_s: float) -> list[Action]:
        """Give the free slots of a node to those that wait, in the order of the line."""
        actions: list[Action] = []
        node = self.books.directory.nodes.get(node_id)
        if node is None or not len(self.books.line):
            return actions
        declined = 0
        for key in self.books.line.waiting_for(self.books.line.without_rungs()):
            if self.choosing.outdated(progress := self.books.open[key]):
                actions += self.place(progress, now_s)
        for key in self.books.line.waiting_for(self._servable(node)):
            progress = self.books.open[key]
            request, avoid = progress.wanted, progress.avoid
            if not now_s < request.deadline_s:
                continue  # the time that passed ends it
            begins = beginning_on(node, request, self.books.directory, avoid)
            if not begins:
                continue
            if all(
                had_better_wait(request, each, self.books.directory, avoid, self.rng, declined)
                for each in begins
            ):
                declined += 1  # it waits for a quicker one, and so had those behind it better
                if declined >= DECLINED_MAX:
                    break
                continue
            placed = place_now(request, self.books.directory, avoid, self.rng, ahead=declined)
            if placed is None:
                continue
            if in_time(placed.chosen.first_token_s, request, now_s):
                actions.append(self.start(progress, placed, now_s))
                if not self._servable(node):
                    break
        return actions

    def check_line(self, now_s: float) -> list[Action]:
        """Tell those who wait for machines that have all gone; look again while any waits."""
        actions: list[Action] = []
        declined = 0
        for key in self.books.line.waiting_for(list(self.books.line.kinds())):
            progress = self.books.open[key]
            request, avoid = progress.wanted, progress.avoid
            if not hopeful(request, self.books.directory, avoid, self.rng):
                actions += self.place(progress, now_s)
                continue
            # What it waits for may have gone, or not come free for long.
            ahead = None if waited_enough(progress, now_s) else declined
            if declined < DECLINED_MAX or ahead is None:
                if progress.given.seen:
                    placed = self.finding.free(progress, request, now_s)
                else:
                    placed = place_now(request, self.books.directory, avoid, self.rng, ahead)
                if placed is not None and in_time(placed.chosen.first_token_s, request, now_s):
                    actions.append(self.start(progress, placed, now_s))
                else:
                    declined += 1
        self.books.watch_line(now_s)
        return actions

    def _servable(self, node: Node) -> list[Request]:
        """Which kinds of those that wait could ``node`` begin now?"""
        return [
            kind
            for kind in self.books.line.kinds()
            if can_begin_on(node, kind, self.books.directory, {})
        ]
