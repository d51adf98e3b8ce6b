"""A conversation, and what a model may do in it: speak, think, call tools."""

from dataclasses import dataclass, field
from enum import StrEnum


class Role(StrEnum):
    """Who speaks in a message."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A function that a model wants called."""

    id: str  # made by whoever runs the model; the tool's answer names it
    name: str
    arguments_json: str  # one JSON object, as the model wrote it


@dataclass(frozen=True, slots=True)
class Image:
    """A picture that is shown within a message."""

    media_type: str  # such as "image/png"
    data: bytes = field(repr=False)
    after: int = 0  # characters of the message's text that come before it


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    text: str
    tool_calls: tuple[ToolCall, ...] = ()  # role assistant: the calls it made
    tool_call_id: str = ""  # role tool: which call this answers
    name: str = ""  # of the speaker or the tool; often not told
    images: tuple[Image, ...] = ()  # in order; for engines that see


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may call."""

    name: str  # [a-zA-Z0-9_-]{1,64}
    description: str = ""
    parameters_json: str = ""  # JSON schema of the arguments; "" takes any object


class ToolMode(StrEnum):
    """Whether tools are called."""

    AUTO = "auto"  # the model decides
    NONE = "none"
    REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """Whether tools are called, and which."""

    mode: ToolMode = ToolMode.AUTO
    name: str = ""  # with REQUIRED: this very tool; "" is any


MODEL_DECIDES = ToolChoice()


class FormKind(StrEnum):
    """How the form of an answer is described."""

    JSON = "json"  # any JSON object
    JSON_SCHEMA = "json_schema"
    GRAMMAR = "grammar"  # GBNF


@dataclass(frozen=True, slots=True)
class Form:
    """What an answer's text must look like: the model can write nothing else."""

    kind: FormKind
    source: str = ""  # the schema or the grammar
