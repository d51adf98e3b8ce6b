"""Which models may stand in for one that was asked for. Only where the caller allows it.

A substitute is of the same family or of the same class, and at least as capable as far as anybody
knows: as good, with as long a context, with the same abilities and the same domains. A test model
stands in for none but a test model, and nothing for an embedding model: vectors of two models
cannot be compared.
"""

from collections.abc import Iterable
from enum import IntEnum
from typing import Final

from mesh.core.catalogue import QUALITY_CLOUD, QUALITY_CLOUD_SMALLER, Entry
from mesh.core.model_families import BILLION


class Class(IntEnum):
    """Models between which people choose by taste. Ordered."""

    TINY = 1  # below 2 billion parameters: runs anywhere
    SMALL = 2  # below 12: a laptop's
    MEDIUM = 3  # below 50: a desk's with much memory
    LARGE = 4
    FRONTIER = 5


_BELOW: Final = (
    (2 * BILLION, Class.TINY),
    (12 * BILLION, Class.SMALL),
    (50 * BILLION, Class.MEDIUM),
)


def class_of(entry: Entry) -> Class:
    """Return the class of a model by its size; where nobody tells it, by how good it is."""
    if not entry.parameters:
        if entry.quality >= QUALITY_CLOUD:
            return Class.FRONTIER
        return Class.LARGE if entry.quality >= QUALITY_CLOUD_SMALLER else Class.SMALL
    return next((each for below, each in _BELOW if entry.parameters < below), Class.LARGE)


def substitutes(asked: Entry, others: Iterable[Entry]) -> tuple[Entry, ...]:
    """Return those of ``others`` that may stand in for ``asked``, the most alike first.

    Args:
        others: what may answer, after the rules; whatever is not among them is no substitute.
    """
    able = [each for each in others if each is not asked and may_replace(asked, each)]
    able.sort(key=lambda each: _unlike(asked, each))
    return tuple(able)


def may_replace(asked: Entry, other: Entry) -> bool:
    """Is ``other`` of ``asked``'s family or class, and at least as capable?"""
    if asked.test is not other.test or asked.embeds or other.embeds:
        return False
    if not (_same_family(asked, other) or class_of(asked) is class_of(other)):
        return False
    return (
        other.quality >= asked.quality
        and other.context_tokens >= asked.context_tokens
        and not (asked.tools and not other.tools)
        and not (asked.vision and not other.vision)
        and set(asked.domains) <= set(other.domains)
    )


def substituted(asked: str, name: str) -> str:
    """Say on the receipt that something else answered."""
    return f"{asked} was asked for and {name} answered in its place, as the caller allows"


def _same_family(asked: Entry, other: Entry) -> bool:
    return bool(asked.family) and asked.family == other.family


def _unlike(asked: Entry, other: Entry) -> tuple[bool, bool, float, str]:
    """Of its family first, of the mesh before the cloud, the next better before the best."""
    return not _same_family(asked, other), not other.local, other.quality, other.model_id
