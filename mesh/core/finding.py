"""Where an attempt can begin now. Changes nothing, but which machines a cut answer shuns."""

from dataclasses import dataclass
from random import Random

from mesh.core.books import Books
from mesh.core.choosing import Choosing
from mesh.core.leaving import cloud_for
from mesh.core.progress import Progress
from mesh.core.routing import AllBusy, Placed, Unplaceable, place, place_doubted, place_now
from mesh.core.types import Request


@dataclass(frozen=True, slots=True)
class Finding:
    """Looks for a place; for an answer that somebody is reading, harder than for others."""

    books: Books
    rng: Random
    choosing: Choosing

    def find(
        self, progress: Progress, request: Request, now_s: float
    ) -> Placed | AllBusy | Unplaceable:
        """Find a place; for an answer that goes on, where it does so without a change if it can.

        Rather than wait, such a one goes to a machine that failed it before and came back, or to
        one that failed others lately: what is cut once more loses nothing.
        """
        directory = self.books.directory
        others = progress.given.others(directory)
        if others:
            same = {**others, **progress.avoid}
            if placed := place_now(request, directory, same, self.rng):
                return placed
        ahead = self.books.line.ahead_of(request)
        found = place(request, directory, progress.avoid, self.rng, ahead)
        if not isinstance(found, AllBusy) or not progress.given.seen:
            return found
        if progress.forgive(now_s, but_the_last=True):
            return self.find(progress, request, now_s)
        return self.last_resort(progress, request) or found

    def free(self, progress: Progress, request: Request, now_s: float) -> Placed | None:
        """Find a place that has a free slot now."""
        found = self.find(progress, request, now_s)
        return found if isinstance(found, Placed) else None

    def last_resort(self, progress: Progress, request: Request) -> Placed | None:
        """Rather a machine that failed lately than none; the cloud comes before it."""
        if cloud_for(progress, self.choosing.clouds) and not progress.given.seen:
            return None
        return place_doubted(request, self.books.directory, progress.avoid, self.rng)
