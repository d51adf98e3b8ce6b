"""Reads the fields of a frame's body, and believes none of them before it has looked."""

import math
from collections.abc import Iterable, Mapping
from typing import Self

from mesh.core.generation import LOGPROB_MIN, TOKEN_BYTES_MAX
from node_agent.engine.frames import FrameError

_COUNT_MAX = 2**31 - 1  # llama.cpp counts tokens, ids and positions in 32 bits
_LINE_CHARACTERS_MAX = 500  # for people: a reason longer than this explains nothing more


class Fields:
    """One JSON object. Each reader raises FrameError, naming the field but never its value."""

    def __init__(self, body: Mapping[str, object]) -> None:
        self._body = body

    def text(self, name: str) -> str:
        """Return a string of any length."""
        value = self._body.get(name)
        if type(value) is not str:
            raise FrameError(f"field {name} is not a string")
        return value

    def line(self, name: str) -> str:
        """Return words for people: one line, printable, cut to a bearable length."""
        words = " ".join(self.text(name)[: 4 * _LINE_CHARACTERS_MAX].split())
        return "".join(filter(str.isprintable, words))[:_LINE_CHARACTERS_MAX]

    def choice(self, name: str, allowed: Iterable[str]) -> str:
        """Return a string that is one of ``allowed``."""
        value = self.text(name)
        if value not in tuple(allowed):
            raise FrameError(f"field {name} has no such choice")
        return value

    def flag(self, name: str) -> bool:
        """Return true or false."""
        value = self._body.get(name)
        if type(value) is not bool:
            raise FrameError(f"field {name} is neither true nor false")
        return value

    def count(self, name: str, *, most: int = _COUNT_MAX) -> int:
        """Return an integer in [0, most]."""
        return _count(name, self._body.get(name), most)

    def count_if_given(self, name: str, *, most: int = _COUNT_MAX) -> int | None:
        """Return ``count``, or None for JSON's null."""
        if name in self._body and self._body[name] is None:
            return None
        return self.count(name, most=most)

    def number(self, name: str, *, negative: bool = False) -> float:
        """Return a finite number; >= 0 unless ``negative``."""
        return _number(name, self._body.get(name), negative=negative)

    def logprob(self, name: str) -> float:
        """Return a natural logarithm of a probability, in nats."""
        value = self.number(name, negative=True)
        if not LOGPROB_MIN <= value <= 0:
            raise FrameError(f"field {name} is not a log-probability")
        return value

    def token_bytes(self, name: str) -> bytes:
        """Return bytes that came as characters of the same numbers; no more than a token has."""
        text = self.text(name)
        if len(text) > TOKEN_BYTES_MAX or any(character > "\xff" for character in text):
            raise FrameError(f"field {name} is not the bytes of a token")
        return text.encode("latin-1")

    def ids(self, name: str, *, most: int = _COUNT_MAX) -> tuple[int, ...]:
        """Return a list of integers in [0, most]: token ids, as a rule."""
        return tuple(_count(name, value, most) for value in self._list(name))

    def biases(self, name: str) -> tuple[tuple[int, float], ...]:
        """Return pairs of a token id and a finite number."""
        return tuple(_pair(name, value) for value in self._list(name))

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of strings."""
        values = self._list(name)
        if not all(type(value) is str for value in values):
            raise FrameError(f"field {name} holds something else than strings")
        return tuple(map(str, values))

    def inner(self, name: str) -> Self:
        """Return an object inside this one."""
        return self._inner(name, self._body.get(name))

    def inner_if_given(self, name: str) -> Self | None:
        """Return ``inner``, or None for JSON's null."""
        if name in self._body and self._body[name] is None:
            return None
        return self.inner(name)

    def inners(self, name: str) -> list[Self]:
        """Return a list of objects."""
        return [self._inner(name, value) for value in self._list(name)]

    def _list(self, name: str) -> list[object]:
        value = self._body.get(name)
        if type(value) is not list:
            raise FrameError(f"field {name} is not a list")
        return value

    def _inner(self, name: str, value: object) -> Self:
        if type(value) is not dict:
            raise FrameError(f"field {name} is not an object")
        return type(self)(value)


def _count(name: str, value: object, most: int) -> int:
    # Not isinstance: True is an int as well.
    if type(value) is not int or not 0 <= value <= most:
        raise FrameError(f"field {name} is not a count in range")
    return value


def _number(name: str, value: object, *, negative: bool) -> float:
    if type(value) is int and abs(value) <= _COUNT_MAX:
        value = float(value)
    if type(value) is not float or not math.isfinite(value) or (value < 0 and not negative):
        raise FrameError(f"field {name} is not a number in range")
    return value


def _pair(name: str, value: object) -> tuple[int, float]:
    if type(value) is not list or len(value) != 2:
        raise FrameError(f"field {name} holds something else than pairs")
    return _count(name, value[0], _COUNT_MAX), _number(name, value[1], negative=True)
