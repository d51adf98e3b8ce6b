"""Parts of a request that every API wants checked before they leave."""

import json
import re
from base64 import b64encode
from typing import Any

from mesh.errors import InvalidRequest
from mesh.v1 import inference_pb2 as inference

Json = dict[str, Any]

MEDIA_TYPE = re.compile(r"image/[a-z0-9.+-]{1,40}")


def spoken(message: inference.Message) -> list[inference.Part]:
    """Return the parts that are said: thoughts of earlier turns are not repeated to a model."""
    return [part for part in message.parts if part.WhichOneof("content") in ("text", "image")]


def read_image(image: inference.Image, index: int) -> tuple[str, str]:
    """Return the media type and the data in base64 of an image of ``messages[index]``.

    Raises:
        InvalidRequest: its type is that of no image.
    """
    if not MEDIA_TYPE.fullmatch(image.media_type):
        raise InvalidRequest(
            f"messages[{index}] holds an image without a media type such as image/png"
        )
    return image.media_type, b64encode(image.data).decode()


def read_schema(text: str, what: str) -> Json:
    """Return a schema that a client wrote.

    Raises:
        InvalidRequest: it is no JSON object.
    """
    if (schema := read_json_object(text)) is None:
        raise InvalidRequest(f"the schema of {what} is not a JSON object")
    return schema


def read_json_object(text: str) -> Json | None:
    """Return the JSON object that ``text`` is, or None."""
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def to_json(body: Json) -> bytes:
    """Write a body as small as JSON goes."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
