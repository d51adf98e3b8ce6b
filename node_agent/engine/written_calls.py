"""Reads the JSON of calls as models write it. Nothing is made up: what is no call is None."""

import json
import re
from dataclasses import dataclass
from typing import NoReturn

CALLS_MAX = 128  # in one list, as many as a message may hold that tells of them

_SPACE = re.compile(r"[ \t\r\n]*")
_ARGUMENTS = ("arguments", "parameters")  # models of one family mix up the words of others


@dataclass(frozen=True, slots=True)
class WrittenCall:
    """A call, with its arguments just as the model wrote them."""

    name: str
    arguments_json: str  # one JSON object


def written_calls(text: str, name: str | None = None) -> tuple[WrittenCall, ...] | None:
    """Return the calls that ``text`` makes: an object, or a list of such.

    With ``name`` it stood before the object, which holds its arguments.
    """
    try:
        _DECODER.decode(text)
        if name is not None:
            return (WrittenCall(name, _object(text)),)
        listed = _items(text) if text.startswith("[") else [text]
        if len(listed) > CALLS_MAX:
            return None
        return tuple(_call(_members(item)) for item in listed)
    except (ValueError, RecursionError):
        return None


def _call(members: dict[str, str]) -> WrittenCall:
    name = json.loads(members.get("name", "null"))
    if not isinstance(name, str):
        raise ValueError("a call without a name")
    given = [members[key] for key in _ARGUMENTS if key in members]
    return WrittenCall(name, _arguments(given[0] if given else "{}"))


def _arguments(text: str) -> str:
    """Some models write the object once more as a string, and null for nothing."""
    value = json.loads(text)
    if value in (None, ""):
        return "{}"
    return _object(value if isinstance(value, str) else text)


def _object(text: str) -> str:
    if not isinstance(_DECODER.decode(text), dict):
        raise ValueError("arguments that are no object")
    text.encode()  # half of a character, written as an escape, is none
    return text.strip()


def _members(text: str) -> dict[str, str]:
    """Return the members of an object, each value as it is written."""
    members: dict[str, str] = {}
    at = _past(text, 0, "{")
    while not text.startswith("}", at):
        if members:
            at = _past(text, at, ",")
        key, at = _DECODER.raw_decode(text, at)
        if not isinstance(key, str):
            raise ValueError("a key that is no string")
        begin = _past(text, _spaceless(text, at), ":")
        _, end = _DECODER.raw_decode(text, begin)
        members[key], at = text[begin:end], _spaceless(text, end)
    return members


def _items(text: str) -> list[str]:
    """Return the items of an array, as they are written."""
    items: list[str] = []
    at = _past(text, 0, "[")
    while not text.startswith("]", at):
        if items:
            at = _past(text, at, ",")
        _, end = _DECODER.raw_decode(text, at)
        items.append(text[at:end])
        at = _spaceless(text, end)
    return items


def _past(text: str, at: int, mark: str) -> int:
    if not text.startswith(mark, at):
        raise ValueError("no JSON")
    return _spaceless(text, at + 1)


def _spaceless(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _no_constant(_: str) -> NoReturn:
    raise ValueError("NaN and infinity are no JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)
