"""Messages and tools as OpenAI's API writes them: the shapes of outside data, and nothing else."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from mesh.wire.requests import PARTS_MAX

NAME = r"^[^\s<|\\/>]+$"  # of a speaker
FUNCTION_NAME = r"^[a-zA-Z0-9_-]+$"

# Tags of unions begin with it, so that they can be told from names of fields in an error's place.
TAG = "="

KEYS_MAX = 64  # of an object, except for a schema's: the largest, a request, has 40 known ones
TEXT_CHARACTERS_MAX = 10 * 1024 * 1024  # of one text, as OpenAI's


class Given(BaseModel):
    """Outside data: every key known, every type as it is written, every number finite."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, allow_inf_nan=False, hide_input_in_errors=True
    )

    @model_validator(mode="before")
    @classmethod
    def _has_few_keys(cls, given: Any) -> Any:
        """Only the first error is told: 200,000 unknown keys must not become as many, in 0.5 s."""
        if isinstance(given, dict) and len(given) > KEYS_MAX:
            raise PydanticCustomError("too_many_keys", "too many keys")
        return given


Text = Annotated[str, Field(max_length=TEXT_CHARACTERS_MAX)]


def _kind(value: Any) -> str:
    return f"{TAG}text" if isinstance(value, str) else f"{TAG}parts"


def _type(value: Any) -> str:
    return f"{TAG}{value.get('type') if isinstance(value, dict) else None}"


def _role(value: Any) -> str:
    return f"{TAG}{value.get('role') if isinstance(value, dict) else None}"


class TextPart(Given):
    type: Literal["text"]
    text: Text


class RefusalPart(Given):
    type: Literal["refusal"]
    refusal: Text


class ImageUrl(Given):
    url: str
    detail: Literal["auto", "low", "high", "original"] | None = None  # engines have one way to look


class ImagePart(Given):
    type: Literal["image_url"]
    image_url: ImageUrl


Part = Annotated[
    Annotated[TextPart, Tag("=text")]
    | Annotated[ImagePart, Tag("=image_url")]
    | Annotated[RefusalPart, Tag("=refusal")],
    Discriminator(
        _type,
        custom_error_type="part_type",
        custom_error_message="Supported values are: 'text', 'image_url', and 'refusal'.",
    ),
]
Parts = Annotated[list[Part], Field(min_length=1, max_length=PARTS_MAX, fail_fast=True)]
Content = Annotated[
    Annotated[Text, Tag("=text")]
    | Annotated[
        list[Part], Field(min_length=1, max_length=PARTS_MAX, fail_fast=True), Tag("=parts")
    ],
    Discriminator(_kind),
]
Name = Annotated[str, Field(min_length=1, max_length=64, pattern=NAME)]
FunctionName = Annotated[str, Field(min_length=1, max_length=64, pattern=FUNCTION_NAME)]
CallId = Annotated[str, Field(min_length=1, max_length=256)]


class CalledFunction(Given):
    name: FunctionName
    arguments: str


class ToolCall(Given):
    id: CallId
    type: Literal["function"]
    function: CalledFunction


class SystemMessage(Given):
    role: Literal["system", "developer"]
    content: Content
    name: Name | None = None


class UserMessage(Given):
    role: Literal["user"]
    content: Content
    name: Name | None = None


class AssistantMessage(Given):
    role: Literal["assistant"]
    content: Content | None = None
    refusal: str | None = None
    name: Name | None = None
    tool_calls: (
        Annotated[list[ToolCall], Field(min_length=1, max_length=128, fail_fast=True)] | None
    ) = None
    # What servers add to an answer, and clients send back as they got it.
    reasoning_content: str | None = None
    annotations: list[Any] | None = None
    audio: None = None
    function_call: None = None


class ToolMessage(Given):
    role: Literal["tool"]
    content: Content
    tool_call_id: CallId
    name: Name | None = None


Message = Annotated[
    Annotated[SystemMessage, Tag("=system")]
    | Annotated[SystemMessage, Tag("=developer")]
    | Annotated[UserMessage, Tag("=user")]
    | Annotated[AssistantMessage, Tag("=assistant")]
    | Annotated[ToolMessage, Tag("=tool")],
    Discriminator(
        _role,
        custom_error_type="role",
        custom_error_message=(
            "Supported values are: 'system', 'developer', 'user', 'assistant', and 'tool'."
        ),
    ),
]


class Function(Given):
    name: FunctionName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None  # arguments of tools always follow their schema, where one can


class Tool(Given):
    type: Literal["function"]
    function: Function


class NamedFunction(Given):
    name: FunctionName


class NamedTool(Given):
    type: Literal["function"]
    function: NamedFunction
