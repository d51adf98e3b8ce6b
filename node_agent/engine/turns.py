"""A conversation as chat templates take it: with tools in their own terms, or told in words.

Templates on Hugging Face get what ``transformers`` passes: tools as JSON schema functions, calls
in their assistant's message, results in messages of role tool. They differ in whether a call's
arguments are an object or its text, and in what a message that only calls has as content.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import groupby
from typing import Any

from mesh.core.chat import Message, Role, Tool, ToolCall
from mesh.errors import InvalidRequest

Turn = dict[str, Any]

_NO_PARAMETERS = {"type": "object", "properties": {}}
_SHORT_ID_CHARACTERS = 9


@dataclass(frozen=True, slots=True)
class CallShape:
    """How a template wants calls that were made."""

    arguments_as_text: bool = False
    content_none: bool = False  # where a message only calls; else ""
    short_ids: bool = False  # nine letters and digits, as Mistral's


def parameters_of(tool: Tool) -> dict[str, Any]:
    """Return the JSON schema of a tool's arguments.

    Raises:
        InvalidRequest: it is none; names the tool.
    """
    if not tool.parameters_json:
        return _NO_PARAMETERS
    schema = _object(tool.parameters_json)
    if schema is None:
        raise InvalidRequest(
            f"the parameters of tool {tool.name} are no JSON schema",
            hint="send a JSON object that describes an object",
        )
    return schema


def tool_objects(tools: Sequence[Tool]) -> list[dict[str, Any]]:
    """Return tools as templates show them.

    Raises:
        InvalidRequest: as ``parameters_of``.
    """
    return [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.description,
                "parameters": parameters_of(tool),
            },
        }
        for tool in tools
    ]


def plain_turns(messages: Sequence[Message]) -> list[Turn]:
    """Return messages without calls."""
    return [{"role": str(message.role), "content": message.text} for message in messages]


def turns_with_calls(messages: Sequence[Message], shape: CallShape) -> list[Turn]:
    """Return messages with their calls and results in the terms of templates.

    Raises:
        InvalidRequest: the arguments of a call are no JSON object.
    """
    names = {call.id: call.name for message in messages for call in message.tool_calls}
    turns = plain_turns(messages)
    for turn, message in zip(turns, messages, strict=True):
        if message.role is Role.TOOL:
            turn["tool_call_id"] = _id(message.tool_call_id, shape)
            turn["name"] = message.name or names.get(message.tool_call_id, "")
        elif message.tool_calls:
            turn["tool_calls"] = [_call(call, shape) for call in message.tool_calls]
            if shape.content_none and not message.text:
                turn["content"] = None
    return turns


def turns_in_words(
    messages: Sequence[Message], tools: Sequence[Tool], *, system: bool
) -> list[Turn]:
    """Return messages for a template that knows no tools: all is told in text, as Hermes' does.

    Args:
        system: whether the template takes system messages; else the first user's tells the tools.

    Raises:
        InvalidRequest: as ``parameters_of``, and ``turns_with_calls``.
    """
    turns: list[Turn] = []
    for is_result, group in groupby(messages, lambda message: message.role is Role.TOOL):
        if is_result:
            results = (f"<tool_response>\n{each.text}\n</tool_response>" for each in group)
            turns.append({"role": "user", "content": "\n".join(results)})
            continue
        spoken = [{"role": str(each.role), "content": _with_calls(each)} for each in group]
        if turns and spoken[0]["role"] == "user":  # many templates want roles to alternate
            turns[-1]["content"] += "\n" + spoken.pop(0)["content"]
        turns += spoken
    return _told(turns, tools, system=system) if tools else turns


def _told(turns: list[Turn], tools: Sequence[Tool], *, system: bool) -> list[Turn]:
    words = _words(tools)
    into = "system" if system else "user"
    at = next((at for at, turn in enumerate(turns) if turn["role"] == into), None)
    if at is None:
        return [{"role": into, "content": words}, *turns]
    turns[at]["content"] = (
        f"{turns[at]['content']}\n\n{words}" if system else (f"{words}\n\n{turns[at]['content']}")
    )
    return turns


def _words(tools: Sequence[Tool]) -> str:
    """Short, as it is in front of every prompt."""
    shown = "\n".join(_to_json(tool["function"]) for tool in tool_objects(tools))
    return (
        f"These functions can be called:\n<tools>\n{shown}\n</tools>\n"
        "To call one, write its name and arguments as JSON between tags:\n"
        '<tool_call>\n{"name": "...", "arguments": {...}}\n</tool_call>'
    )


def _with_calls(message: Message) -> str:
    """Return what was said, and then the calls as they are to be written."""
    calls = (
        f'<tool_call>\n{{"name": {_to_json(call.name)}, "arguments":'
        f" {_to_json(_arguments(call))}}}\n</tool_call>"
        for call in message.tool_calls
    )
    return "\n".join(filter(None, (message.text, *calls)))


def _call(call: ToolCall, shape: CallShape) -> dict[str, Any]:
    arguments = _arguments(call)
    function = {
        "name": call.name,
        "arguments": _to_json(arguments) if shape.arguments_as_text else arguments,
    }
    return {"id": _id(call.id, shape), "type": "function", "function": function}


def _arguments(call: ToolCall) -> dict[str, Any]:
    arguments = _object(call.arguments_json or "{}")
    if arguments is None:
        raise InvalidRequest(
            f"the arguments of a call of {call.name} in the conversation are no JSON object",
            hint="send them as they came",
        )
    return arguments


def _object(text: str) -> dict[str, Any] | None:
    """Return the JSON object that ``text`` is, if it is one that can be written as UTF-8."""
    try:
        value = json.loads(text)
        _to_json(value).encode()
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _id(call_id: str, shape: CallShape) -> str:
    """Our own engine's ids have the right length; those of other servers get another."""
    fits = len(call_id) == _SHORT_ID_CHARACTERS and call_id.isascii() and call_id.isalnum()
    if not shape.short_ids or fits:
        return call_id
    return blake2b(call_id.encode(), digest_size=8).hexdigest()[:_SHORT_ID_CHARACTERS]


def _to_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
