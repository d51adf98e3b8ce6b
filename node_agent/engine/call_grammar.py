"""Answers that must call a tool: in the model's own way to write calls, with arguments that follow
the tool's schema. The model can write nothing else, but for a thought before.

Imports llguidance, so it is imported only once a request needs it.
"""

import json
import re
from collections.abc import Callable, Sequence
from enum import Enum, auto
from typing import Any

from mesh.core.chat import Tool
from mesh.errors import InvalidRequest
from node_agent.engine.constraint import (
    SOURCE_CHARACTERS_MAX,
    Constraint,
    Grammars,
    json_space_option,
)
from node_agent.engine.reply import THINK, THOUGHT
from node_agent.engine.tool_formats import ToolFormat
from node_agent.engine.turns import parameters_of

# Says which control token of the vocabulary a mark is, if it is one.
ControlToken = Callable[[str], int | None]
Marker = Callable[[str], str]  # says how a mark is written in a grammar

# An object that says what it holds gets nothing else: what a schema leaves open, small models fill
# with inventions. Beside these keywords more may be said elsewhere, so there it stays open.
_SAYING_MORE = frozenset(
    {"additionalProperties", "patternProperties", "unevaluatedProperties", "$ref", "allOf"}
    | {"anyOf", "oneOf", "if", "dependentSchemas"}
)


class Thought(Enum):
    """What may come before the call."""

    NONE = auto()
    ALLOWED = auto()
    BEGUN = auto()  # by the prompt; the answer ends it


def of_call(
    grammars: Grammars,
    tools: Sequence[Tool],
    form: ToolFormat,
    control_token: ControlToken,
    thought: Thought,
) -> Constraint:
    """Return what binds an answer to one call of one of ``tools``, after which nothing follows.

    Raises:
        InvalidRequest: a tool's parameters describe no object, are too long, or ask for what can't
            be enforced; names the tool.
    """
    source = _call_grammar(tools, form, control_token, thought)
    try:
        return grammars.of_lark(source)
    except InvalidRequest:
        for tool in tools:
            _check_alone(grammars, tool)
        raise


def arguments_schema(tool: Tool) -> dict[str, Any]:
    """Return the schema that a required call's arguments follow: the tool's, or a narrower one.

    Raises:
        InvalidRequest: as ``of_call``.
    """
    if len(tool.parameters_json) > SOURCE_CHARACTERS_MAX:
        raise InvalidRequest(
            f"the parameters of tool {tool.name} have {len(tool.parameters_json)} characters",
            hint=f"at most {SOURCE_CHARACTERS_MAX} are allowed",
        )
    schema = parameters_of(tool)
    kinds = schema.get("type", "object")
    if "object" not in (kinds if isinstance(kinds, list) else [kinds]):
        raise InvalidRequest(
            f"the parameters of tool {tool.name} do not describe an object",
            hint='write {"type": "object", "properties": ...}',
        )
    schema = {**schema, "type": "object"}
    properties, required = schema.get("properties"), schema.get("required", [])
    if (
        isinstance(properties, dict)
        and isinstance(required, list)
        and set(map(str, required)) <= set(properties)
        and not _SAYING_MORE & set(schema)
    ):
        schema["additionalProperties"] = False
    return schema


def _check_alone(grammars: Grammars, tool: Tool) -> None:
    try:
        grammars.of_lark(f"start: %json {json_space_option(arguments_schema(tool))}")
    except InvalidRequest as failure:
        raise InvalidRequest(f"tool {tool.name}: {failure.message}", hint=failure.hint) from None


def _call_grammar(
    tools: Sequence[Tool],
    form: ToolFormat,
    control_token: ControlToken,
    thought: Thought,
) -> str:
    def marker(mark: str) -> str:
        token = control_token(mark)
        return json.dumps(mark) if token is None else f"<[{token}]>"

    opening = "" if form.bare else form.opening
    name_before, name_after, end = form.written
    start = ["gap", _written(opening, form, marker), "gap", "call"]
    rules = ["gap: / ?/"]  # many vocabularies have a space in what begins a text, or follows a mark
    if thought is not Thought.NONE:
        begun = thought is Thought.BEGUN
        start.insert(0, "thought" if begun else f"({marker(THINK)} thought)?")
        rules.append(_thought(marker))
    for number, tool in enumerate(tools):
        before = _written(f"{name_before}{tool.name}{name_after}", form, marker)
        rules += [
            f"call_{number}: {before} arguments_{number} {_written(end, form, marker)}",
            f"arguments_{number}: %json {json_space_option(arguments_schema(tool))}",
        ]
    calls = " | ".join(f"call_{number}" for number in range(len(tools)))
    return "\n".join((f"start: {' '.join(start)}", f"call: {calls}", *rules, ""))


def _written(text: str, form: ToolFormat, marker: Marker) -> str:
    """Return ``text`` in a grammar, with its marks as tokens."""
    if not text:
        return ""
    marks = "|".join(map(re.escape, form.control))
    parts = re.split(f"({marks})", text)
    return " ".join(
        marker(part) if part in form.control else json.dumps(part) for part in parts if part
    )


def _thought(marker: Marker) -> str:
    """Return the rule for all up to the end of a thought, and space."""
    end = marker(THOUGHT)
    space = r"/[ \t\r\n]{0,4}/"
    if end.startswith("<"):
        return f"thought: /(.|\\n)*/ {end} {space}"
    return f"thought: thinking {space}\nthinking[suffix={end}]: /(.|\\n)*/"
