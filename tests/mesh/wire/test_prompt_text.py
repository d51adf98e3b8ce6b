"""The newest part of a prompt's text."""

from mesh.v1 import inference_pb2 as inference
from mesh.wire.prompt_text import newest_text

TEXT = inference.Part
REQUEST = inference.GenerateRequest(
    messages=[
        inference.Message(role=inference.ROLE_SYSTEM, parts=[TEXT(text="one")]),
        inference.Message(role=inference.ROLE_ASSISTANT, parts=[TEXT(reasoning="thought")]),
        inference.Message(
            role=inference.ROLE_USER,
            parts=[TEXT(text="two"), TEXT(image=inference.Image(data=b"x")), TEXT(text="three")],
        ),
    ]
)


def test_all_that_is_said_comes_in_its_order() -> None:
    assert newest_text(REQUEST, 100) == "one\ntwo\nthree"


def test_of_a_long_prompt_the_newest_part_comes() -> None:
    assert newest_text(REQUEST, 3) == "ree"
    assert newest_text(REQUEST, 5) == "three"
    assert newest_text(REQUEST, 8) == "wo\nthree"


def test_no_prompt_is_no_text() -> None:
    assert newest_text(inference.GenerateRequest(), 10) == ""
