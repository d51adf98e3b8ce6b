"""What of the catalogue suits a machine, the best first. Pure.

The largest model that fits is the best only if it answers as fast as one reads. On a processor a
smaller one, or a mixture of experts, serves its owner better.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from mesh.pulling.catalogue import Entry
from mesh.pulling.fitting import Machine, fits_with_ease, why_not
from mesh.pulling.speed import is_usable, tokens_per_s


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One model of the catalogue, and whether this machine can serve it."""

    entry: Entry
    why_not: str  # "" if it can
    tight: bool  # it fits, and little else beside it
    tokens_per_s: float | None = None  # None: nobody knows, or it writes none

    @property
    def fits(self) -> bool:
        return not self.why_not

    @property
    def usable(self) -> bool:
        """Whether it fits, and answers as fast as one reads, as far as is known."""
        return self.fits and is_usable(self.tokens_per_s)


def suggestions(known: Iterable[Entry], machine: Machine) -> list[Suggestion]:
    """Return all of them: what fits and is quick enough, with ease before tightly, by rank; then
    what is slow, the quickest first; then what only embeds, by rank, as nobody talks to it; then
    what does not fit, the smallest first."""
    judged = [
        Suggestion(
            entry=each,
            why_not=why_not(each.size_bytes, machine),
            tight=not fits_with_ease(each.size_bytes, machine.memory_bytes),
            tokens_per_s=_speed(each, machine),
        )
        for each in known
    ]
    return sorted(judged, key=_order)


def best(known: Iterable[Entry], machine: Machine) -> Suggestion | None:
    """Return the general model to begin with on a machine; None if none fits."""
    general = [each for each in known if each.kind == "general"]
    return next((each for each in suggestions(general, machine) if each.fits), None)


def _speed(entry: Entry, machine: Machine) -> float | None:
    if machine.read_bytes_per_s is None or entry.kind == "embedding":
        return None
    return tokens_per_s(entry.active_bytes, machine.read_bytes_per_s)


def _order(each: Suggestion) -> tuple[int, bool, float]:
    if not each.fits:
        return (3, False, each.entry.size_bytes)
    if each.entry.kind == "embedding":
        return (2, each.tight, -each.entry.rank)
    if each.usable:
        return (0, each.tight, -each.entry.rank)
    return (1, False, -(each.tokens_per_s or 0.0))
