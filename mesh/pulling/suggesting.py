"""What of the catalogue fits a machine, the best first. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from mesh.pulling.catalogue import Entry
from mesh.pulling.fitting import Machine, fits_with_ease, why_not


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One model of the catalogue, and whether this machine can serve it."""

    entry: Entry
    why_not: str  # "" if it can
    tight: bool  # it fits, and little else beside it

    @property
    def fits(self) -> bool:
        return not self.why_not


def suggestions(known: Iterable[Entry], machine: Machine) -> list[Suggestion]:
    """Return all of them: what fits with ease by rank, then what is tight, then what does not."""
    judged = [
        Suggestion(
            entry=each,
            why_not=why_not(each.size_bytes, machine),
            tight=not fits_with_ease(each.size_bytes, machine.memory_bytes),
        )
        for each in known
    ]
    return sorted(judged, key=lambda each: (not each.fits, each.tight, _order(each)))


def best(known: Iterable[Entry], machine: Machine) -> Suggestion | None:
    """Return the general model to begin with on a machine; None if none fits."""
    general = [each for each in known if each.kind == "general"]
    return next((each for each in suggestions(general, machine) if each.fits), None)


def _order(suggestion: Suggestion) -> int:
    """By rank; of those that do not fit, the smallest is the nearest."""
    return -suggestion.entry.rank if suggestion.fits else suggestion.entry.size_bytes
