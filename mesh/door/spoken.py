"""Messages, from OpenAI's shape to the mesh's."""

import base64
import binascii
import re
from collections.abc import Iterator, Sequence

from mesh.door.conversation import (
    AssistantMessage,
    Content,
    ImagePart,
    Message,
    RefusalPart,
    SystemMessage,
    TextPart,
    ToolMessage,
    UserMessage,
)
from mesh.door.failures import Refused
from mesh.v1 import inference_pb2 as inference
from mesh.wire.requests import IMAGE_BYTES_MAX

_IMAGE = re.compile(r"data:(image/(?:png|jpeg|webp|gif));base64,")

_ROLES = {
    "system": inference.ROLE_SYSTEM,
    "developer": inference.ROLE_SYSTEM,  # its newer name
    "user": inference.ROLE_USER,
    "assistant": inference.ROLE_ASSISTANT,
    "tool": inference.ROLE_TOOL,
}


def write_messages(messages: Sequence[Message]) -> Iterator[inference.Message]:
    """Yield each message as the mesh takes it.

    Raises:
        Refused: a message contradicts its role, or what came before it; or an image is none.
    """
    called: set[str] = set()  # tool calls so far
    for index, message in enumerate(messages):
        place = f"messages[{index}]"
        match message:
            case AssistantMessage():
                called.update(call.id for call in message.tool_calls or ())
                yield _assistant(message, place)
            case ToolMessage():
                if message.tool_call_id not in called:
                    raise Refused(
                        f"Invalid value for '{place}.tool_call_id': messages with role 'tool' must "
                        "answer a tool call of a message before them.",
                        param=f"{place}.tool_call_id",
                    )
                yield _written(message, place, tool_call_id=message.tool_call_id)
            case SystemMessage() | UserMessage():
                yield _written(message, place)


def _written(
    message: SystemMessage | UserMessage | ToolMessage, place: str, *, tool_call_id: str = ""
) -> inference.Message:
    _refuse_foreign_parts(message, place)
    return inference.Message(
        role=_ROLES[message.role],
        parts=_parts(message.content, place),
        name=message.name or "",
        tool_call_id=tool_call_id,
    )


def _assistant(message: AssistantMessage, place: str) -> inference.Message:
    _refuse_foreign_parts(message, place)
    if message.content is None and message.refusal is None and not message.tool_calls:
        raise Refused(
            f"Invalid value for '{place}.content': expected a string, got null.",
            param=f"{place}.content",
        )
    parts = _parts(message.content, place) if message.content is not None else []
    if message.refusal is not None:
        parts.append(inference.Part(text=message.refusal))
    if message.reasoning_content:
        parts.insert(0, inference.Part(reasoning=message.reasoning_content))
    return inference.Message(
        role=inference.ROLE_ASSISTANT,
        parts=parts,
        name=message.name or "",
        tool_calls=[
            inference.ToolCall(
                id=call.id, name=call.function.name, arguments_json=call.function.arguments
            )
            for call in message.tool_calls or ()
        ],
    )


def _parts(content: Content, place: str) -> list[inference.Part]:
    if isinstance(content, str):
        return [inference.Part(text=content)]
    return [_part(part, f"{place}.content[{index}]") for index, part in enumerate(content)]


def _part(part: TextPart | ImagePart | RefusalPart, place: str) -> inference.Part:
    match part:
        case TextPart():
            return inference.Part(text=part.text)
        case RefusalPart():
            return inference.Part(text=part.refusal)
        case ImagePart():
            return inference.Part(image=_image(part.image_url.url, f"{place}.image_url.url"))


def _image(url: str, place: str) -> inference.Image:
    kind = _IMAGE.match(url)
    if kind is None:
        raise Refused(
            f"Invalid value for '{place}': expected a data URL of a PNG, JPEG, WebP or GIF image",
            hint="the mesh fetches nothing from the web: send the image itself, in base64",
            param=place,
            code="invalid_image_url",
        )
    if (len(url) - kind.end()) * 3 // 4 > IMAGE_BYTES_MAX:
        limit = f"{IMAGE_BYTES_MAX // 2**20} MiB"
        raise Refused(f"Invalid '{place}': the image is larger than {limit}.", param=place)
    try:
        data = base64.b64decode(url[kind.end() :], validate=True)
    except (binascii.Error, ValueError):
        raise Refused(f"Invalid '{place}': the base64 is broken.", param=place) from None
    return inference.Image(media_type=kind[1], data=data)


def _refuse_foreign_parts(
    message: SystemMessage | UserMessage | ToolMessage | AssistantMessage, place: str
) -> None:
    """A user may show images, an assistant may have refused, and everybody may speak."""
    if message.content is None or isinstance(message.content, str):
        return
    for index, part in enumerate(message.content):
        allowed = {"user": ImagePart, "assistant": RefusalPart}.get(message.role, TextPart)
        if not isinstance(part, TextPart | allowed):
            param = f"{place}.content[{index}].type"
            said = f"Invalid value for '{param}': the role '{message.role}' has no such parts."
            raise Refused(said, param=param)
