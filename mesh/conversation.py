"""What a program says to the mesh with the SDK: messages, images, tools and their calls."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from mesh.errors import InvalidRequest
from mesh.v1 import inference_pb2 as inference

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Image:
    """A picture for a model that sees."""

    data: bytes = field(repr=False)  # at most 20 MiB
    media_type: str  # such as "image/png"


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may ask for. The program calls it, and tells the result."""

    name: str  # 1 to 64 characters of [A-Za-z0-9_-]
    description: str = ""
    parameters: Mapping[str, Any] = field(  # JSON schema of the arguments
        default_factory=lambda: {"type": "object", "properties": {}}
    )


@dataclass(frozen=True, slots=True)
class ToolCall:
    """What a model asks for; answered by ``Message("tool", ..., tool_call_id=id)``."""

    id: str
    name: str
    arguments: str  # JSON as the model wrote it: check it before use


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: str  # "system", "user", "assistant" or "tool"
    content: str | Sequence[str | Image] = ""
    name: str = ""  # of the speaker
    reasoning: str = ""  # role assistant: its thoughts, kept apart from what it said
    tool_calls: Sequence[ToolCall] = ()  # role assistant: the calls that it made
    tool_call_id: str = ""  # role tool: which call this answers


Messages = str | Sequence[Message | Mapping[str, Any]]

_ROLES = {
    "system": inference.ROLE_SYSTEM,
    "user": inference.ROLE_USER,
    "assistant": inference.ROLE_ASSISTANT,
    "tool": inference.ROLE_TOOL,
}
_CHOICES = {
    "": inference.ToolChoice.MODE_UNSPECIFIED,
    "auto": inference.ToolChoice.MODE_AUTO,
    "none": inference.ToolChoice.MODE_NONE,
    "required": inference.ToolChoice.MODE_REQUIRED,
}
_KEYS = [each.name for each in fields(Message)]


def write_prompt(prompt: Messages) -> list[inference.Message]:
    """Return ``prompt`` as the mesh takes it.

    Raises:
        InvalidRequest: a message is none, or has an unknown role, key or kind of content.
    """
    if isinstance(prompt, str):
        prompt = [Message("user", prompt)]
    return [_written(_message(each)) for each in prompt]


def write_tools(tools: Iterable[Tool]) -> list[inference.Tool]:
    """Raises InvalidRequest for a schema that is no JSON."""
    return [
        inference.Tool(
            name=tool.name, description=tool.description, parameters_json=_schema(tool.parameters)
        )
        for tool in tools
    ]


def write_choice(choice: str | Tool) -> inference.ToolChoice | None:
    """Raises InvalidRequest for an unknown word."""
    if isinstance(choice, Tool):
        return inference.ToolChoice(mode=inference.ToolChoice.MODE_REQUIRED, name=choice.name)
    mode = one_of(_CHOICES, choice, "tool_choice")
    return inference.ToolChoice(mode=mode) if choice else None


def one_of(table: Mapping[str, Value], word: str, what: str) -> Value:
    """Return what ``word`` stands for.

    Raises:
        InvalidRequest: it is none of ``table``'s.
    """
    if not isinstance(word, str) or word not in table:
        known = ", ".join(filter(None, table))
        raise InvalidRequest(f"{what} {str(word)[:40]!r} is unknown", hint=f"use {known}")
    return table[word]


def _message(given: Message | Mapping[str, Any]) -> Message:
    if isinstance(given, Message):
        return given
    if not isinstance(given, Mapping) or "role" not in given:
        raise InvalidRequest("a message has no role", hint=f"give {', '.join(_KEYS)}")
    for key in given:
        one_of(dict.fromkeys(_KEYS), key, "key of a message")
    return Message(**given)


def _written(message: Message) -> inference.Message:
    said: Any = message.content
    if said is None or (said == "" and message.tool_calls):
        said = ()  # nothing was said beside the calls
    if not isinstance(said, list | tuple):
        said = (said,)
    parts = [_part(each) for each in said]
    if message.reasoning:
        parts.insert(0, inference.Part(reasoning=message.reasoning))
    return inference.Message(
        role=one_of(_ROLES, message.role, "role"),
        parts=parts,
        name=message.name,
        tool_call_id=message.tool_call_id,
        tool_calls=[_call(each) for each in message.tool_calls],
    )


def _part(part: str | Image) -> inference.Part:
    if isinstance(part, Image):
        image = inference.Image(media_type=part.media_type, data=part.data)
        return inference.Part(image=image)
    if not isinstance(part, str):
        raise InvalidRequest(
            f"a message's content cannot hold {type(part).__name__}", hint="give text, or Image()"
        )
    return inference.Part(text=part)


def _call(call: ToolCall) -> inference.ToolCall:
    if not isinstance(call, ToolCall):
        raise InvalidRequest(
            f"a message's tool_calls cannot hold {type(call).__name__}", hint="give ToolCall()"
        )
    return inference.ToolCall(id=call.id, name=call.name, arguments_json=call.arguments)


def _schema(parameters: Mapping[str, Any]) -> str:
    try:
        return json.dumps(parameters, ensure_ascii=False, allow_nan=False, default=dict)
    except (TypeError, ValueError, RecursionError):
        raise InvalidRequest("a tool's parameters are no JSON schema") from None
