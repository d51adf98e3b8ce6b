"""Which models an operator means: names, patterns and what models are, each as one short text.

``qwen2.5-7b``, any of its names or its identity; ``qwen*``, a pattern of names; ``local`` or
``cloud``; ``family:qwen``; ``domain:security``; ``specialists``, those of the request's own domain;
``size<=8b`` (or ``<``, ``>``, ``>=``; of the parameters, where they are known); ``any``. Several
with ``and`` between must all be true: ``family:qwen and size<=8b``.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from operator import ge, gt, le, lt
from typing import Final

from mesh.core.catalogue import ENTRIES_KEPT_MAX, Entry
from mesh.core.glob import is_pattern, matches

TEXT_CHARACTERS_MAX = 256  # the longest name that a model may have
SPECIALISTS = "specialists"
_KINDS: Final = ("family", "domain")
_SIZE: Final = re.compile(r"size\s*(<=|>=|<|>)\s*(\d{1,6}(?:\.\d{1,6})?)\s*([kmb]?)")
_SIGNS: Final[dict[str, Callable[[float, float], bool]]] = {"<=": le, ">=": ge, "<": lt, ">": gt}
_UNITS: Final = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9}
_SIGN: Final = re.compile(r"[<>=]")
_AND: Final = re.compile(r"\s+and\s+")

Test = Callable[[Entry, str], bool]  # of a model, and of the request's domain


@dataclass(slots=True)
class Models:
    """Some of the models, as an operator wrote it: those that any of ``texts`` means.

    What it found out about an entry it remembers: entries never change, and there is one of each.
    """

    texts: tuple[str, ...]
    _tests: tuple[Test, ...] = field(init=False, repr=False)
    _by_domain: bool = field(init=False, repr=False)
    _known: dict[Entry | tuple[Entry, str], int] = field(
        default_factory=dict, init=False, repr=False
    )

    def __post_init__(self) -> None:
        """Raises ValueError for a text that means nothing; says which and what would."""
        self._tests = tuple(_test_of(text) for text in self.texts)
        self._by_domain = any(SPECIALISTS in text.lower() for text in self.texts)

    def __str__(self) -> str:
        return ", ".join(self.texts)

    def place(self, entry: Entry, domain: str) -> int:
        """Return which text means ``entry`` first, for a request of this ``domain``; -1: none."""
        key = (entry, domain) if self._by_domain else entry
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= ENTRIES_KEPT_MAX:  # of models that have gone
                self._known.clear()
            places = (place for place, test in enumerate(self._tests) if test(entry, domain))
            known = self._known[key] = next(places, -1)
        return known

    def split(self, entries: Iterable[Entry], domain: str) -> tuple[list[Entry], list[Entry]]:
        """Return those of ``entries`` that are meant, and the others, each in their order."""
        known, by_domain = self._known, self._by_domain
        meant: list[Entry] = []
        others: list[Entry] = []
        for entry in entries:
            place = known.get((entry, domain) if by_domain else entry)
            if place is None:
                place = self.place(entry, domain)
            (meant if place >= 0 else others).append(entry)
        return meant, others

    def has(self, entry: Entry, domain: str) -> bool:
        """Is ``entry`` one of them?"""
        return self.place(entry, domain) >= 0

    def of(self, entries: Iterable[Entry], domain: str) -> list[Entry]:
        """Return those that are meant, in the order in which the operator names them."""
        found, _ = self.split(entries, domain)
        if len(self._tests) > 1:
            found.sort(key=lambda entry: self.place(entry, domain))
        return found


def _test_of(text: str) -> Test:
    parts = _AND.split(text.strip().lower())
    if not text.isprintable() or len(text) > TEXT_CHARACTERS_MAX or not all(parts):
        raise ValueError(f"{text[:60]!r} means no model: {_USE}")
    tests = [_part(part, text) for part in parts]
    if len(tests) == 1:
        return tests[0]
    return lambda entry, domain: all(test(entry, domain) for test in tests)


_USE: Final = (
    "use a name, a pattern such as 'qwen*', local, cloud, any, specialists, family:NAME, "
    "domain:NAME or size<=8b"
)


def _part(part: str, text: str) -> Test:
    if part in _WORDS:
        return _WORDS[part]
    if part.startswith("size") and (sized := _SIZE.fullmatch(part)) is not None:
        sign, number, unit = sized.groups()
        return _sized(_SIGNS[sign], float(number) * _UNITS[unit])
    kind, colon, name = part.partition(":")
    if colon and kind in _KINDS and name.strip():
        name = name.strip()
        if kind == "family":
            return lambda entry, _: entry.family == name
        return lambda entry, _: name in entry.domains
    if _SIGN.search(part) or (colon and kind in _KINDS):
        raise ValueError(f"{text[:60]!r} means no model: {_USE}")
    if is_pattern(part):
        return lambda entry, _: any(matches(part, name) for name in entry.names)
    return lambda entry, _: part in entry.names


_WORDS: Final[dict[str, Test]] = {
    "any": lambda _, __: True,
    "local": lambda entry, _: entry.local,
    "cloud": lambda entry, _: not entry.local,
    SPECIALISTS: lambda entry, domain: bool(domain) and domain in entry.domains,
}


def _sized(compare: Callable[[float, float], bool], bound: float) -> Test:
    return lambda entry, _: entry.parameters > 0 and compare(entry.parameters, bound)
