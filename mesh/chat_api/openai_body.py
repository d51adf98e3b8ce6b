"""What the mesh is asked, as an OpenAI-compatible upstream reads it.

Sent is what the answer is made from and nothing else: no name, session, tag or id of who asks.
Not sent is what OpenAI's API does not know and would refuse: ``top_k``, ``min_p``,
``repeat_penalty``.
"""

from typing import Any

from mesh.chat_api.content import read_image, read_schema, spoken
from mesh.errors import Unsupported
from mesh.v1 import inference_pb2 as inference

Json = dict[str, Any]

ROLES = {
    inference.ROLE_SYSTEM: "system",
    inference.ROLE_USER: "user",
    inference.ROLE_ASSISTANT: "assistant",
    inference.ROLE_TOOL: "tool",
}
TOOL_MODES = {
    inference.ToolChoice.MODE_UNSPECIFIED: None,
    inference.ToolChoice.MODE_AUTO: "auto",
    inference.ToolChoice.MODE_NONE: "none",
    inference.ToolChoice.MODE_REQUIRED: "required",
}
SAMPLING = ("temperature", "top_p", "presence_penalty", "frequency_penalty")

# Upstreams disagree on how large a seed may be, and all take 31 bits. The same seed of a client
# stays the same one there.
SEED_MODULUS = 2**31
SCHEMA_NAME = "answer"  # the API wants one


def written(request: inference.GenerateRequest, *, sampling: bool) -> Json:
    """Return what the body of a call to ``/chat/completions`` says of the request.

    Raises: as ``Api.write_body``.
    """
    if request.adapters:
        raise Unsupported("adapters are for models of the mesh; the cloud has none")
    body: Json = {
        "messages": [_message(each, index) for index, each in enumerate(request.messages)],
        "stream": True,
        "stream_options": {"include_usage": True},
        **(_sampling(request.sampling) if sampling else {}),
        **_tools(request),
        **_response_format(request.response_format),
    }
    if request.stop:
        body["stop"] = list(request.stop)
    if request.HasField("logprobs"):
        body["logprobs"] = True
        if request.logprobs:
            body["top_logprobs"] = request.logprobs
    return body


def seed_sent(request: inference.GenerateRequest) -> int:
    """Return the seed that the upstream gets."""
    return request.sampling.seed % SEED_MODULUS


def _message(message: inference.Message, index: int) -> Json:
    parts = spoken(message)
    written: Json = {"role": ROLES[message.role]}
    if any(part.HasField("image") for part in parts):
        written["content"] = [_part(part, index) for part in parts]
    else:
        written["content"] = "".join(part.text for part in parts)
    if message.name:
        written["name"] = message.name
    if message.role == inference.ROLE_TOOL:
        written["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        written["tool_calls"] = [_tool_call(each) for each in message.tool_calls]
        written["content"] = written["content"] or None  # some refuse an empty text beside calls
    return written


def _part(part: inference.Part, index: int) -> Json:
    if not part.HasField("image"):
        return {"type": "text", "text": part.text}
    media_type, data = read_image(part.image, index)
    return {"type": "image_url", "image_url": {"url": f"data:{media_type};base64,{data}"}}


def _tool_call(call: inference.ToolCall) -> Json:
    function = {"name": call.name, "arguments": call.arguments_json}
    return {"id": call.id, "type": "function", "function": function}


def _tools(request: inference.GenerateRequest) -> Json:
    if not request.tools:
        return {}  # with a choice and no tools the API refuses
    written: Json = {"tools": [_tool(each) for each in request.tools]}
    choice = request.tool_choice
    if choice.mode == inference.ToolChoice.MODE_REQUIRED and choice.name:
        written["tool_choice"] = {"type": "function", "function": {"name": choice.name}}
    elif (mode := TOOL_MODES.get(choice.mode)) is not None:
        written["tool_choice"] = mode
    return written


def _tool(tool: inference.Tool) -> Json:
    function: Json = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    if tool.parameters_json:
        function["parameters"] = read_schema(tool.parameters_json, f"tool {tool.name}")
    return {"type": "function", "function": function}


def _response_format(wanted: inference.ResponseFormat) -> Json:
    match wanted.WhichOneof("format"):
        case "json":
            return {"response_format": {"type": "json_object"}}
        case "json_schema":
            schema = read_schema(wanted.json_schema, "response_format")
            named = {"name": SCHEMA_NAME, "schema": schema}
            return {"response_format": {"type": "json_schema", "json_schema": named}}
        case "grammar":
            raise Unsupported(
                "a GBNF grammar is for models of the mesh; the cloud knows none",
                hint="give a JSON schema",
            )
        case _:
            return {}


def _sampling(sampling: inference.Sampling) -> Json:
    written: Json = {name: getattr(sampling, name) for name in SAMPLING if sampling.HasField(name)}
    if sampling.HasField("seed"):
        written["seed"] = sampling.seed % SEED_MODULUS
    if sampling.logit_bias:
        written["logit_bias"] = {str(token): bias for token, bias in sampling.logit_bias.items()}
    return written
