"""The model that is to come: a file, or the parts of one, and what is known of the whole."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mesh.model_note import MODEL_SUFFIX, part_name
from mesh.pulling.source import Source


@dataclass(frozen=True, slots=True)
class Wanted:
    """One model to fetch."""

    name: str  # what it is called here
    origin: str  # as it is noted and shown: that of its first part
    parts: tuple[Source, ...]  # in order; one, unless the model is split
    licence: str = ""
    whole_sha256: str = ""  # of all parts' bytes one after the other; "": nobody has said

    @classmethod
    def of(
        cls, parts: Sequence[Source], name: str, *, licence: str = "", whole_sha256: str = ""
    ) -> "Wanted":
        """Return the model of ``parts``, under the name that it will have here."""
        count = len(parts)
        named = tuple(
            replace(part, name=_stem(name, number, count)) for number, part in enumerate(parts, 1)
        )
        return cls(name, parts[0].origin, named, licence, whole_sha256)

    @property
    def is_split(self) -> bool:
        return len(self.parts) > 1

    @property
    def size_bytes(self) -> int | None:
        """Of all parts together; None unless every one is known."""
        known = [part.size_bytes for part in self.parts if part.size_bytes is not None]
        return sum(known) if len(known) == len(self.parts) else None

    @property
    def sha256(self) -> str:
        """What the whole must have; "": nobody has said."""
        return self.whole_sha256 if self.is_split else self.parts[0].sha256

    @property
    def is_proven(self) -> bool:
        """Whether it is known beforehand what every byte must be."""
        return bool(self.whole_sha256) or all(part.sha256 for part in self.parts)

    def called(self, name: str) -> "Wanted":
        """Return the same under another name."""
        return Wanted.of(self.parts, name, licence=self.licence, whole_sha256=self.whole_sha256)

    def with_sha256(self, sha256: str) -> "Wanted":
        """Return the same, which must have this sha256 as a whole."""
        if self.is_split:
            return replace(self, whole_sha256=sha256)
        return replace(self, parts=(replace(self.parts[0], sha256=sha256),))


def _stem(name: str, number: int, count: int) -> str:
    return part_name(name, number, count)[: -len(MODEL_SUFFIX)] if count > 1 else name
