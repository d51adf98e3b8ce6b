"""The work that an engine of a node does for a request."""

from collections.abc import Iterator
from dataclasses import replace

from mesh.core.chat import Form, FormKind, Image, Message, Tool, ToolCall, ToolChoice, ToolMode
from mesh.core.generation import TOKEN_BYTES_MAX, Generation, Resume
from mesh.errors import InvalidRequest
from mesh.v1 import inference_pb2 as inference
from mesh.wire import enums
from mesh.wire.requests import check_generation
from mesh.wire.sampling import read_sampling

_MODES = {
    inference.ToolChoice.MODE_UNSPECIFIED: ToolMode.AUTO,
    inference.ToolChoice.MODE_AUTO: ToolMode.AUTO,
    inference.ToolChoice.MODE_NONE: ToolMode.NONE,
    inference.ToolChoice.MODE_REQUIRED: ToolMode.REQUIRED,
}


_MODES_WRITTEN = tuple(reversed(_MODES.items()))  # the unspecified one stands first


def read_generation(message: inference.GenerateRequest) -> Generation:
    """Check and return the work that an engine of a node does for ``message``.

    Raises:
        InvalidRequest, Unsupported: as ``read_request``.
    """
    check_generation(message)
    sampling = read_sampling(message.sampling)
    resume = read_resume(message.resume) if message.HasField("resume") else None
    if resume is not None:  # each draw goes by the seed that the answer was begun with
        sampling = replace(sampling, seed=message.resume.seed)
    return Generation(
        messages=tuple(_message(each, index) for index, each in enumerate(message.messages)),
        sampling=sampling,
        max_tokens=message.max_tokens or 2**31 - 1,
        stop=tuple(message.stop),
        logprobs=message.logprobs if message.HasField("logprobs") else None,
        tools=tuple(
            Tool(tool.name, tool.description, tool.parameters_json) for tool in message.tools
        ),
        tool_choice=_tool_choice(message.tool_choice),
        form=_form(message.response_format),
        resume=resume,
    )


def write_generation(work: Generation) -> inference.GenerateRequest:
    """Write what an answer is made from, for an engine that is asked as others ask it.

    What only our own engine knows is left out: an answer to be continued, hashes, signs.
    """
    sampling = work.sampling
    request = inference.GenerateRequest(
        messages=[_write_message(each) for each in work.messages],
        tools=[
            inference.Tool(
                name=tool.name, description=tool.description, parameters_json=tool.parameters_json
            )
            for tool in work.tools
        ],
        tool_choice=inference.ToolChoice(
            mode=next(wire for wire, mode in _MODES_WRITTEN if mode is work.tool_choice.mode),
            name=work.tool_choice.name,
        ),
        sampling=inference.Sampling(
            temperature=sampling.temperature,
            top_k=sampling.top_k,
            top_p=sampling.top_p,
            min_p=sampling.min_p,
            repeat_penalty=sampling.repeat_penalty,
            presence_penalty=sampling.presence_penalty,
            frequency_penalty=sampling.frequency_penalty,
            seed=sampling.seed,
            logit_bias=dict(sampling.logit_bias),
        ),
        max_tokens=work.max_tokens,
        stop=work.stop,
        logprobs=work.logprobs,
    )
    match work.form:
        case Form(FormKind.JSON):
            request.response_format.json = True
        case Form(FormKind.JSON_SCHEMA, schema):
            request.response_format.json_schema = schema
        case Form(FormKind.GRAMMAR, grammar):
            request.response_format.grammar = grammar
    return request


def read_resume(message: inference.Resume) -> Resume:
    """Raises InvalidRequest: there is no prompt, or an id is negative."""
    if not message.prompt_ids:
        raise InvalidRequest("resume has no prompt_ids", hint="send those that `started` told")
    if any(token < 0 for ids in (message.prompt_ids, message.emitted_ids) for token in ids):
        raise InvalidRequest("resume holds a token id that is negative")
    if message.text_bytes_sent > TOKEN_BYTES_MAX * len(message.emitted_ids):
        raise InvalidRequest(
            f"resume tells of {message.text_bytes_sent} bytes of text,"
            f" and {len(message.emitted_ids)} tokens have no such text",
            hint="count the UTF-8 bytes of the text that came",
        )
    return Resume(tuple(message.prompt_ids), tuple(message.emitted_ids), message.text_bytes_sent)


def _message(message: inference.Message, index: int) -> Message:
    # Thoughts of earlier turns are not repeated to a model: its template drops them as well.
    text, images = "", []
    for part in message.parts:
        if part.HasField("image"):
            images.append(Image(part.image.media_type, part.image.data, len(text)))
        text += part.text
    return Message(
        role=enums.read(enums.ROLE, message.role, f"messages[{index}].role"),
        text=text,
        tool_calls=tuple(
            ToolCall(call.id, call.name, call.arguments_json) for call in message.tool_calls
        ),
        tool_call_id=message.tool_call_id,
        name=message.name,
        images=tuple(images),
    )


def _write_message(message: Message) -> inference.Message:
    return inference.Message(
        role=enums.write(enums.ROLE, message.role),
        parts=list(_parts(message)),
        tool_calls=[
            inference.ToolCall(id=call.id, name=call.name, arguments_json=call.arguments_json)
            for call in message.tool_calls
        ],
        tool_call_id=message.tool_call_id,
        name=message.name,
    )


def _parts(message: Message) -> Iterator[inference.Part]:
    said = 0
    for image in message.images:
        if image.after > said:
            yield inference.Part(text=message.text[said : image.after])
        said = image.after
        yield inference.Part(image=inference.Image(media_type=image.media_type, data=image.data))
    if rest := message.text[said:]:
        yield inference.Part(text=rest)


def _tool_choice(message: inference.ToolChoice) -> ToolChoice:
    return ToolChoice(enums.read(_MODES, message.mode, "tool_choice.mode"), message.name)


def _form(message: inference.ResponseFormat) -> Form | None:
    match message.WhichOneof("format"):
        case "json":
            return Form(FormKind.JSON)
        case "json_schema":
            return Form(FormKind.JSON_SCHEMA, message.json_schema)
        case "grammar":
            return Form(FormKind.GRAMMAR, message.grammar)
        case _:
            return None
