"""What the mesh is asked, as Anthropic's Messages API reads it.

It differs from OpenAI's in shape more than in what it can say. What the system says stands apart
from the messages. Messages are blocks, and turns alternate: what a tool answered is a block of the
user's turn. A call's arguments are an object, not its text.

Not sent is what the API does not know: names of speakers, seeds, penalties, biases.

Source: platform.claude.com, Messages API reference and "Define tools", "Structured outputs".
"""

from typing import Any

from mesh.chat_api.content import read_image, read_json_object, read_schema, spoken
from mesh.errors import InvalidRequest, Unsupported
from mesh.v1 import inference_pb2 as inference

Json = dict[str, Any]

TEMPERATURE_MAX = 1.0  # of this API; OpenAI's goes to 2
TOOL_MODES = {
    inference.ToolChoice.MODE_AUTO: "auto",
    inference.ToolChoice.MODE_NONE: "none",
    inference.ToolChoice.MODE_REQUIRED: "any",
}


def written(request: inference.GenerateRequest, *, sampling: bool) -> Json:
    """Return what the body of a call to ``/messages`` says of the request.

    Raises: as ``Api.write_body``.
    """
    _check_possible(request)
    body: Json = {
        "messages": _turns(request),
        "stream": True,
        **(_sampling(request.sampling) if sampling else {}),
        **_tools(request),
        **_output(request.response_format),
    }
    if system := _system(request):
        body["system"] = system
    if request.stop:
        body["stop_sequences"] = list(request.stop)
    return body


def _check_possible(request: inference.GenerateRequest) -> None:
    if request.adapters:
        raise Unsupported("adapters are for models of the mesh; the cloud has none")
    if request.HasField("logprobs"):
        raise Unsupported("this upstream tells no log-probabilities", hint="ask without logprobs")


def _system(request: inference.GenerateRequest) -> str:
    """All that the system says, wherever it stands: the API takes it at the beginning alone."""
    said = (
        "".join(part.text for part in spoken(message))
        for message in request.messages
        if message.role == inference.ROLE_SYSTEM
    )
    return "\n\n".join(filter(None, said))


def _turns(request: inference.GenerateRequest) -> list[Json]:
    turns: list[Json] = []
    for index, message in enumerate(request.messages):
        if message.role == inference.ROLE_SYSTEM:
            continue
        blocks = _blocks(message, index)
        if not blocks:
            continue
        role = "assistant" if message.role == inference.ROLE_ASSISTANT else "user"
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks  # all results of a turn's calls belong into one
        else:
            turns.append({"role": role, "content": blocks})
    return turns


def _blocks(message: inference.Message, index: int) -> list[Json]:
    parts = (part for part in spoken(message) if part.text or part.HasField("image"))
    said = [_block(part, index) for part in parts]  # the API refuses a text of nothing
    if message.role == inference.ROLE_TOOL:
        result: Json = {"type": "tool_result", "tool_use_id": message.tool_call_id}
        return [{**result, "content": said} if said else result]
    return said + [_call(call, index) for call in message.tool_calls]


def _block(part: inference.Part, index: int) -> Json:
    if not part.HasField("image"):
        return {"type": "text", "text": part.text}
    media_type, data = read_image(part.image, index)
    source = {"type": "base64", "media_type": media_type, "data": data}
    return {"type": "image", "source": source}


def _call(call: inference.ToolCall, index: int) -> Json:
    arguments = read_json_object(call.arguments_json or "{}")
    if arguments is None:
        raise InvalidRequest(f"messages[{index}] calls {call.name} with what is no JSON object")
    return {"type": "tool_use", "id": call.id, "name": call.name, "input": arguments}


def _tools(request: inference.GenerateRequest) -> Json:
    if not request.tools:
        return {}
    body: Json = {"tools": [_tool(each) for each in request.tools]}
    choice = request.tool_choice
    if choice.mode == inference.ToolChoice.MODE_REQUIRED and choice.name:
        body["tool_choice"] = {"type": "tool", "name": choice.name}
    elif (mode := TOOL_MODES.get(choice.mode)) is not None:
        body["tool_choice"] = {"type": mode}
    return body


def _tool(tool: inference.Tool) -> Json:
    schema = {"type": "object"}  # the API wants one of a tool without parameters too
    if tool.parameters_json:
        schema = read_schema(tool.parameters_json, f"tool {tool.name}")
    described = {"description": tool.description} if tool.description else {}
    return {"name": tool.name, **described, "input_schema": schema}


def _output(wanted: inference.ResponseFormat) -> Json:
    match wanted.WhichOneof("format"):
        case "json":
            raise Unsupported(
                "this upstream writes JSON by a schema alone", hint="give a JSON schema"
            )
        case "json_schema":
            schema = read_schema(wanted.json_schema, "response_format")
            return {"output_config": {"format": {"type": "json_schema", "schema": schema}}}
        case "grammar":
            raise Unsupported(
                "a GBNF grammar is for models of the mesh; the cloud knows none",
                hint="give a JSON schema",
            )
        case _:
            return {}


def _sampling(sampling: inference.Sampling) -> Json:
    """Temperature or else ``top_p``: models since 2025 refuse both at once."""
    body: Json = {}
    if sampling.HasField("temperature"):
        body["temperature"] = min(sampling.temperature, TEMPERATURE_MAX)
    elif sampling.HasField("top_p"):
        body["top_p"] = sampling.top_p
    if sampling.top_k:
        body["top_k"] = sampling.top_k
    return body
