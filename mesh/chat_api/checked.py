"""Reads an upstream's JSON, whose every type is checked: it may be broken, or hostile."""

import json
from typing import Any

from mesh.errors import NodeLost

TOKENS_MAX = 2**32 - 1  # what a message of ours can hold

Json = dict[str, Any]


def read_object(event: str) -> Json:
    """Return the JSON object of an event.

    Raises:
        NodeLost: it is none.
    """
    try:
        return of_type(json.loads(event), dict, "a chunk")
    except (ValueError, RecursionError):
        raise NodeLost("the upstream sent what is not JSON") from None


def of_type(value: Any, kind: type[Json], what: str) -> Json:
    """Return ``value`` if it is an object, else raise NodeLost."""
    if not isinstance(value, kind):
        raise NodeLost(f"the upstream sent a malformed chunk: {what} is of the wrong type")
    return value


def read_part(holder: Json, name: str) -> Json:
    """Return the object ``name`` of ``holder``, {} without one."""
    return of_type(holder.get(name) or {}, dict, name)


def read_list(holder: Json, name: str) -> list[Any]:
    """Return the list ``name`` of ``holder``, [] without one."""
    value = holder.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise NodeLost(f"the upstream sent a malformed chunk: {name} is no list")
    return value


def read_text(holder: Json, name: str) -> str:
    """Return the text ``name`` of ``holder``, "" without one."""
    value = holder.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise NodeLost(f"the upstream sent a malformed chunk: {name} is no text")
    try:
        value.encode()
    except UnicodeEncodeError:  # JSON may escape half of a character, which no message can hold
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return value


def read_count(value: Any) -> int | None:
    """Return a number of tokens, or an index; None if it makes no sense as one."""
    return value if type(value) is int and 0 <= value <= TOKENS_MAX else None
