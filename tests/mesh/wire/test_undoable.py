"""An engine refuses what it cannot do, and ignores nothing that it is asked for."""

import pytest

from mesh.errors import Unsupported
from mesh.v1 import inference_pb2 as inference
from mesh.wire.generations import read_generation


def _request(**fields: object) -> inference.GenerateRequest:
    message = inference.Message(role=inference.ROLE_USER, parts=[inference.Part(text="hi")])
    return inference.GenerateRequest(request_id="r", messages=[message], **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"tools": [inference.Tool(name="t")]}, "tools"),
        ({"adapters": ["pirate"]}, "adapters"),
    ],
)
def test_an_engine_refuses_what_it_would_else_ignore(fields: dict[str, object], words: str) -> None:
    with pytest.raises(Unsupported, match=words):
        read_generation(_request(**fields))


def test_a_plain_response_format_is_no_demand() -> None:
    assert read_generation(_request(response_format=inference.ResponseFormat(text=True)))
