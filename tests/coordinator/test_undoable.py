"""What nobody can do is refused by its name, and never ignored."""

from typing import Any

import pytest

from mesh.client import AnswerStream, MeshClient
from mesh.errors import NoCapableNode, Unsupported
from mesh.v1 import inference_pb2 as inference
from tests.coordinator.conftest import NewNode
from tests.coordinator.scripted_node import model

QWEN = model("qwen")
PNG = inference.Image(media_type="image/png", data=b"x")
SHOWN = inference.Message(role=inference.ROLE_USER, parts=[inference.Part(image=PNG)])


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"tools": [inference.Tool(name="t")]}, "tools"),
        ({"messages": [SHOWN]}, "images"),
        ({"response_format": inference.ResponseFormat(json=True)}, "response_format"),
        ({"response_format": inference.ResponseFormat(json_schema="{}")}, "response_format"),
        ({"response_format": inference.ResponseFormat(grammar="")}, "response_format"),
    ],
)
async def test_what_no_machine_can_do_is_refused_by_name(
    client: MeshClient, new_node: NewNode, fields: dict[str, Any], what: str
) -> None:
    message = inference.Message(role=inference.ROLE_USER, parts=[inference.Part(text="hi")])
    request = inference.GenerateRequest(**{"request_id": "r", "messages": [message], **fields})
    async with new_node(QWEN):
        with pytest.raises(NoCapableNode, match=f"qwen cannot do .*{what}.* there"):
            await anext(aiter(AnswerStream(client.answer(request))))


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"adapters": ["pirate"]}, "adapters"),
    ],
)
async def test_what_nobody_can_do_is_refused_at_the_door(
    client: MeshClient, fields: dict[str, Any], what: str
) -> None:
    message = inference.Message(role=inference.ROLE_USER, parts=[inference.Part(text="hi")])
    request = inference.GenerateRequest(request_id="r", messages=[message], **fields)
    with pytest.raises(Unsupported, match=what):
        await anext(aiter(AnswerStream(client.answer(request))))
