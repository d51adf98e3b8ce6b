"""The parameters of a chat completion, as OpenAI's API writes them, and the mesh's own few more."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from mesh.core.generation import LOGPROBS_MAX
from mesh.door.conversation import TAG, Given, Message, NamedTool, Tool
from mesh.wire.requests import (
    MESSAGES_MAX,
    NAME_CHARACTERS_MAX,
    STOP_BYTES_MAX,
    TOOLS_MAX,
)
from mesh.wire.sampling import LOGIT_BIAS_MAX

INT64_MAX = 2**63 - 1

# Taken and left alone: the answer is as good without, and tools send them unasked.
IGNORED: dict[str, str] = {
    "user": "who asks is known by the door that they use",
    "safety_identifier": "as `user`",
    "metadata": "nothing of a request is kept that could be found by it",
    "store": "prompts and answers are never stored",
    "service_tier": "there is one",
    "reasoning_effort": "a hint; models here think as their template says",
    "verbosity": "a hint, of which no model here knows",
    "prediction": "a hint that saves time elsewhere; the answer is the same",
    "prompt_cache_key": "prompts are cached by what they say",
    "prompt_cache_retention": "as `prompt_cache_key`",
    "prompt_cache_options": "as `prompt_cache_key`",
}
# Refused in words of their own: without them the answer would not be what was asked for.
REFUSED: dict[str, str] = {
    "functions": "use 'tools' instead",
    "function_call": "use 'tool_choice' instead",
    "audio": "answers here are text",
    "web_search_options": "no machine here searches the web for a request",
    "moderation": "no machine here moderates",
}


def _stop_kind(value: Any) -> str:
    return f"{TAG}text" if isinstance(value, str) else f"{TAG}strings"


def _choice_kind(value: Any) -> str:
    return f"{TAG}tool" if isinstance(value, dict) else f"{TAG}mode"


def _format_type(value: Any) -> str:
    return f"{TAG}{value.get('type') if isinstance(value, dict) else None}"


StopString = Annotated[str, Field(min_length=1, max_length=STOP_BYTES_MAX)]
Stop = Annotated[
    Annotated[StopString, Tag("=text")]
    | Annotated[list[StopString], Field(max_length=4), Tag("=strings")],
    Discriminator(_stop_kind),
]
ToolChoice = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag("=mode")]
    | Annotated[NamedTool, Tag("=tool")],
    Discriminator(_choice_kind),
]


class TextFormat(Given):
    type: Literal["text"]


class JsonFormat(Given):
    type: Literal["json_object"]


class JsonSchema(Given):
    name: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[a-zA-Z0-9_-]+$")]
    description: str | None = None
    schema_: Annotated[dict[str, Any], Field(alias="schema", default_factory=dict)]
    strict: bool | None = None  # an answer always matches its schema


class SchemaFormat(Given):
    type: Literal["json_schema"]
    json_schema: JsonSchema


ResponseFormat = Annotated[
    Annotated[TextFormat, Tag("=text")]
    | Annotated[JsonFormat, Tag("=json_object")]
    | Annotated[SchemaFormat, Tag("=json_schema")],
    Discriminator(
        _format_type,
        custom_error_type="format_type",
        custom_error_message="Supported values are: 'text', 'json_object', and 'json_schema'.",
    ),
]


class StreamOptions(Given):
    include_usage: bool | None = None
    include_obfuscation: bool | None = None  # lengths of chunks cross no network here


# Ids are written as keys, which JSON has only as strings.
LogitBias = Annotated[
    dict[Annotated[str, Field(pattern=r"^\d{1,9}$")], Annotated[float, Field(ge=-100, le=100)]],
    Field(max_length=LOGIT_BIAS_MAX),
]


class ChatBody(Given):
    """What may be asked for, once ``IGNORED`` and ``REFUSED`` are taken out."""

    model: Annotated[str, Field(min_length=1, max_length=NAME_CHARACTERS_MAX)]
    messages: Annotated[list[Message], Field(min_length=1, max_length=MESSAGES_MAX, fail_fast=True)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None

    max_tokens: Annotated[int, Field(ge=1, le=INT64_MAX)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1, le=INT64_MAX)] | None = None
    stop: Stop | None = None
    n: Annotated[int, Field(ge=1, le=128)] | None = None

    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    seed: Annotated[int, Field(ge=-INT64_MAX - 1, le=INT64_MAX)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    logit_bias: LogitBias | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=LOGPROBS_MAX)] | None = None

    response_format: ResponseFormat | None = None
    modalities: Annotated[list[Literal["text"]], Field(max_length=8)] | None = None
    tools: Annotated[list[Tool], Field(max_length=TOOLS_MAX)] | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None

    # Not OpenAI's: as llama.cpp's server calls them.
    top_k: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    repeat_penalty: Annotated[float, Field(gt=0, le=10)] | None = None
