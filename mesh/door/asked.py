"""From a chat completion's body and headers to the request that the mesh is asked."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from pydantic import ValidationError

from mesh.door.asked_headers import AskedHeaders
from mesh.door.conversation import NamedTool, Tool
from mesh.door.failures import Refused
from mesh.door.parameters import (
    IGNORED,
    REFUSED,
    ChatBody,
    JsonFormat,
    ResponseFormat,
    SchemaFormat,
)
from mesh.door.spoken import write_messages
from mesh.door.words import refusal
from mesh.v1 import inference_pb2 as inference

# OpenAI takes 0 for "the likeliest token only", which so small a share gives; the mesh's is (0, 1].
TOP_P_LEAST = 1e-9
MAX_TOKENS_MOST = 2**31 - 1  # more than any context; larger numbers mean the same

_MODES = {
    "auto": inference.ToolChoice.MODE_AUTO,
    "none": inference.ToolChoice.MODE_NONE,
    "required": inference.ToolChoice.MODE_REQUIRED,
}


@dataclass(frozen=True, slots=True)
class Asked:
    """One chat completion: what the mesh is asked, and how the answer is to be written."""

    request: inference.GenerateRequest
    stream: bool
    include_usage: bool
    logprobs: bool
    one_call_only: bool  # of a tool, even if the model makes more


def read_chat(given: dict[str, Any], headers: AskedHeaders) -> Asked:
    """Check a body and return what it asks.

    Raises:
        Refused: a parameter is missing, unknown, malformed or out of range; names it.
    """
    body = _checked(given)
    try:
        request = _write_request(body, headers)
    except UnicodeEncodeError:  # of half a surrogate pair, which JSON can spell and UTF-8 cannot
        raise Refused("a string in the body is not valid Unicode", code="invalid_json") from None
    return Asked(
        request=request,
        stream=bool(body.stream),
        include_usage=bool(body.stream_options and body.stream_options.include_usage),
        logprobs=bool(body.logprobs),
        one_call_only=body.parallel_tool_calls is False,
    )


def _checked(given: dict[str, Any]) -> ChatBody:
    for name, instead in REFUSED.items():
        if given.get(name) is not None:
            _unsupported(name, instead)
    known = {
        name: value for name, value in given.items() if name not in IGNORED and name not in REFUSED
    }
    try:
        body = ChatBody.model_validate(known)
    except ValidationError as failure:
        raise refusal(failure) from None
    _check_together(body)
    return body


def _check_together(body: ChatBody) -> None:
    """What each parameter alone cannot tell."""
    if body.n is not None and body.n != 1:
        _unsupported("n", "ask once for each answer", value="more than one answer to a request")
    if None not in (body.max_tokens, body.max_completion_tokens) and (
        body.max_tokens != body.max_completion_tokens
    ):
        _contradiction("max_tokens", "cannot be another number than 'max_completion_tokens'")
    if body.top_logprobs is not None and not body.logprobs:
        _contradiction("top_logprobs", "is only allowed when 'logprobs' is true")
    if body.stream_options is not None and not body.stream:
        _contradiction("stream_options", "is only allowed when 'stream' is true")
    if body.tool_choice not in (None, "none") and not body.tools:
        _contradiction("tool_choice", "is only allowed when 'tools' are specified")
    if body.parallel_tool_calls is not None and not body.tools:
        _contradiction("parallel_tool_calls", "is only allowed when 'tools' are specified")


def _write_request(body: ChatBody, headers: AskedHeaders) -> inference.GenerateRequest:
    return inference.GenerateRequest(
        request_id=headers.request_id,
        model=body.model,
        messages=write_messages(body.messages),
        tools=[_tool(each, index) for index, each in enumerate(body.tools or ())],
        tool_choice=_tool_choice(body),
        response_format=_response_format(body.response_format),
        sampling=_sampling(body),
        max_tokens=min(body.max_completion_tokens or body.max_tokens or 0, MAX_TOKENS_MOST),
        stop=[body.stop] if isinstance(body.stop, str) else body.stop or (),
        logprobs=(body.top_logprobs or 0) if body.logprobs else None,
        tier=headers.tier,
        policy=headers.policy,
        session=headers.session,
        deadline_ms=headers.deadline_ms,
        domain=headers.domain,
        origin=headers.origin,
        accept_substitute=headers.accept_substitute,
        accept_restart=not body.stream,  # nothing of it is shown before its end
    )


def _sampling(body: ChatBody) -> inference.Sampling:
    return inference.Sampling(
        temperature=body.temperature,
        top_k=body.top_k,
        top_p=None if body.top_p is None else max(body.top_p, TOP_P_LEAST),
        min_p=body.min_p,
        repeat_penalty=body.repeat_penalty,
        presence_penalty=body.presence_penalty,
        frequency_penalty=body.frequency_penalty,
        seed=None if body.seed is None else body.seed % 2**64,  # a negative one is as good
        logit_bias={int(token): bias for token, bias in (body.logit_bias or {}).items()},
    )


def _tool(tool: Tool, index: int) -> inference.Tool:
    return inference.Tool(
        name=tool.function.name,
        description=tool.function.description or "",
        parameters_json=_schema(
            tool.function.parameters or {"type": "object", "properties": {}},
            f"tools[{index}].function.parameters",
        ),
    )


def _tool_choice(body: ChatBody) -> inference.ToolChoice | None:
    if body.tool_choice is None:
        return None
    if not isinstance(body.tool_choice, NamedTool):
        return inference.ToolChoice(mode=_MODES[body.tool_choice])
    name = body.tool_choice.function.name
    if name not in {tool.function.name for tool in body.tools or ()}:
        raise Refused(
            "Invalid value for 'tool_choice': it names a function that is not in 'tools'.",
            param="tool_choice",
        )
    return inference.ToolChoice(mode=inference.ToolChoice.MODE_REQUIRED, name=name)


def _response_format(asked: ResponseFormat | None) -> inference.ResponseFormat | None:
    if isinstance(asked, SchemaFormat):
        written = _schema(asked.json_schema.schema_, "response_format.json_schema.schema")
        return inference.ResponseFormat(json_schema=written)
    return inference.ResponseFormat(json=True) if isinstance(asked, JsonFormat) else None


def _schema(schema: Mapping[str, Any], param: str) -> str:
    try:
        return json.dumps(schema, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except (ValueError, RecursionError):
        why = "it is nested too deeply, or a number in it is too large"
        raise Refused(f"Invalid schema for '{param}': {why}.", param=param) from None


def _unsupported(param: str, instead: str, *, value: str = "this parameter") -> NoReturn:
    raise Refused(
        f"Unsupported parameter: '{param}': {value} is not supported here",
        hint=instead,
        param=param,
        code="unsupported_parameter",
    )


def _contradiction(param: str, why: str) -> NoReturn:
    raise Refused(f"Invalid value for '{param}': '{param}' {why}.", param=param)
