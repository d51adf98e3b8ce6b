"""Does a model's tool call fit the tool that it calls? By its form, as the tool's schema states it.

Names, required arguments and the types of the outermost ones: what a model gets wrong that has not
understood the tool. Deeper than that only the tool itself can say.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from mesh.v1 import inference_pb2 as inference

# Beyond it, reading JSON would hold up everybody else's tokens for a millisecond: it passes unread.
READ_BYTES_MAX = 64 * 1024

_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "string": str,
    "number": (int, float),
    "integer": int,
    "boolean": bool,
    "object": dict,
    "array": list,
    "null": type(None),
}


def broken(calls: Iterable[inference.ToolCall], tools: Iterable[inference.Tool]) -> int:
    """Return how many of ``calls`` do not fit any of ``tools``."""
    schemas = {tool.name: tool.parameters_json for tool in tools}
    return sum(not _fits(call, schemas) for call in calls)


def _fits(call: inference.ToolCall, schemas: Mapping[str, str]) -> bool:
    schema_json = schemas.get(call.name)
    if schema_json is None:
        return False
    if len(call.arguments_json) + len(schema_json) > READ_BYTES_MAX:
        return True
    try:
        arguments = json.loads(call.arguments_json or "{}")
        schema = json.loads(schema_json or "{}")
    except (ValueError, RecursionError):
        return False
    if not isinstance(arguments, dict):
        return False
    try:
        return not isinstance(schema, dict) or _has_form(arguments, schema)
    except (TypeError, RecursionError):  # the schema is none: the node is not to blame for it
        return True


def _has_form(arguments: dict[str, Any], schema: dict[str, Any]) -> bool:
    required, known = schema.get("required"), schema.get("properties")
    if isinstance(required, list) and any(each not in arguments for each in required):
        return False
    if not isinstance(known, dict):
        return True
    if schema.get("additionalProperties") is False and not arguments.keys() <= known.keys():
        return False
    return all(_is_a(value, known.get(name)) for name, value in arguments.items())


def _is_a(value: object, schema: object) -> bool:
    """Is it of the type that is stated, and one of the values, where they are listed?"""
    if not isinstance(schema, dict):
        return True
    listed = schema.get("enum")
    if isinstance(listed, list) and value not in listed:
        return False
    stated = schema.get("type")
    names = stated if isinstance(stated, list) else [stated]
    types = [_TYPES[name] for name in names if isinstance(name, str) and name in _TYPES]
    if not types:
        return True
    if isinstance(value, bool) and bool not in types:
        return False
    return any(isinstance(value, each) for each in types) or (
        isinstance(value, float) and value.is_integer() and int in types
    )
