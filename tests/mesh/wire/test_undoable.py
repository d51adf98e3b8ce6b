"""An engine refuses what it cannot do, and ignores nothing that it is asked for."""

import pytest

from mesh.core.chat import Message, Role, Tool, ToolCall, ToolChoice, ToolMode
from mesh.errors import InvalidRequest, Unsupported
from mesh.v1 import inference_pb2 as inference
from mesh.wire.generations import read_generation, write_generation
from mesh.wire.requests import IMAGE_BYTES_MAX, IMAGES_MAX


def _request(**fields: object) -> inference.GenerateRequest:
    message = inference.Message(role=inference.ROLE_USER, parts=[inference.Part(text="hi")])
    given = {"messages": [message], **fields}
    return inference.GenerateRequest(request_id="r", **given)  # type: ignore[arg-type]


def test_an_engine_refuses_what_it_would_else_ignore() -> None:
    with pytest.raises(Unsupported, match="adapters"):
        read_generation(_request(adapters=["pirate"]))


PNG = inference.Part(image=inference.Image(media_type="image/png", data=b"x"))


def _shown(*parts: inference.Part) -> inference.GenerateRequest:
    return _request(messages=[inference.Message(role=inference.ROLE_USER, parts=parts)])


def test_an_engine_gets_images_where_they_stood_between_words() -> None:
    a, b = inference.Part(text="a"), inference.Part(text="bc")
    for parts in ([PNG], [a, PNG], [PNG, a], [a, PNG, PNG, b], [a, PNG, b, PNG]):
        work = read_generation(_shown(*parts))
        assert list(write_generation(work).messages[0].parts) == parts
    secret = inference.Part(image=inference.Image(media_type="image/png", data=b"secret"))
    assert "secret" not in repr(read_generation(_shown(secret)))


@pytest.mark.parametrize(
    ("image", "why"),
    [
        (inference.Image(data=b"x"), "media type"),
        (inference.Image(data=b"x", media_type="image/svg+xml"), "media type"),
        (inference.Image(media_type="image/png"), "0 bytes"),
        (inference.Image(media_type="image/png", data=bytes(IMAGE_BYTES_MAX + 1)), "bytes"),
    ],
)
def test_an_image_that_is_none_is_refused(image: inference.Image, why: str) -> None:
    with pytest.raises(InvalidRequest, match=f"messages.0. holds an image .*{why}"):
        read_generation(_shown(inference.Part(image=image)))


def test_images_are_bounded_in_number() -> None:
    assert read_generation(_shown(*[PNG] * IMAGES_MAX))
    with pytest.raises(InvalidRequest, match="65 images"):
        read_generation(_shown(*[PNG] * (IMAGES_MAX + 1)))


def test_an_engine_gets_tools_their_calls_and_their_results() -> None:
    call = inference.ToolCall(id="c1", name="weather", arguments_json='{"city": "Oslo"}')
    conversation = [
        inference.Message(role=inference.ROLE_USER, parts=[inference.Part(text="Rain?")]),
        inference.Message(role=inference.ROLE_ASSISTANT, tool_calls=[call]),
        inference.Message(
            role=inference.ROLE_TOOL, tool_call_id="c1", parts=[inference.Part(text="yes")]
        ),
    ]
    work = read_generation(
        _request(
            messages=conversation,
            tools=[inference.Tool(name="weather", parameters_json="{}")],
            tool_choice=inference.ToolChoice(
                mode=inference.ToolChoice.MODE_REQUIRED, name="weather"
            ),
        )
    )
    asked, called, told = work.messages
    assert asked == Message(Role.USER, "Rain?")
    assert called.tool_calls == (ToolCall("c1", "weather", '{"city": "Oslo"}'),)
    assert (told.role, told.tool_call_id, told.text) == (Role.TOOL, "c1", "yes")
    assert work.tools == (Tool("weather", "", "{}"),)
    assert work.tool_choice == ToolChoice(ToolMode.REQUIRED, "weather")


def test_a_plain_response_format_is_no_demand() -> None:
    assert read_generation(_request(response_format=inference.ResponseFormat(text=True)))
