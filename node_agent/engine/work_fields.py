"""Decodes what an engine is asked for: one frame's ``work``."""

from mesh.core.chat import Form, FormKind, Message, Role, Tool, ToolCall, ToolChoice, ToolMode
from mesh.core.generation import LOGPROBS_MAX, Generation, Resume, Sampling
from node_agent.engine.fields import Fields

UNSIGNED_64_MAX = 2**64 - 1


def decode_work(fields: Fields) -> Generation:
    """Raises FrameError: a field is missing, of a wrong type or out of range."""
    return Generation(
        messages=tuple(_message(message) for message in fields.inners("messages")),
        sampling=_sampling(fields.inner("sampling")),
        max_tokens=fields.count("max_tokens"),
        stop=fields.texts("stop"),
        logprobs=fields.count_if_given("logprobs", most=LOGPROBS_MAX),
        tools=tuple(
            Tool(tool.text("name"), tool.text("description"), tool.text("parameters_json"))
            for tool in fields.inners("tools")
        ),
        tool_choice=_tool_choice(fields.inner("tool_choice")),
        form=_form(fields.inner_if_given("form")),
        resume=_resume(fields.inner_if_given("resume")),
        block_hashes=fields.ids("block_hashes", most=UNSIGNED_64_MAX),
        signs=fields.flag("signs"),
    )


def decode_tool_calls(fields: Fields) -> tuple[ToolCall, ...]:
    """Raises FrameError, as ``decode_work``."""
    return tuple(
        ToolCall(call.text("id"), call.text("name"), call.text("arguments_json"))
        for call in fields.inners("tool_calls")
    )


def _message(fields: Fields) -> Message:
    return Message(
        role=Role(fields.choice("role", Role)),
        text=fields.text("text"),
        tool_calls=decode_tool_calls(fields),
        tool_call_id=fields.text("tool_call_id"),
        name=fields.text("name"),
    )


def _tool_choice(fields: Fields) -> ToolChoice:
    return ToolChoice(ToolMode(fields.choice("mode", ToolMode)), fields.text("name"))


def _form(fields: Fields | None) -> Form | None:
    if fields is None:
        return None
    return Form(FormKind(fields.choice("kind", FormKind)), fields.text("source"))


def _resume(fields: Fields | None) -> Resume | None:
    if fields is None:
        return None
    return Resume(
        fields.ids("prompt_ids"), fields.ids("emitted_ids"), fields.count("text_bytes_sent")
    )


def _sampling(fields: Fields) -> Sampling:
    return Sampling(
        temperature=fields.number("temperature"),
        top_k=fields.count("top_k"),
        top_p=fields.number("top_p"),
        min_p=fields.number("min_p"),
        repeat_penalty=fields.number("repeat_penalty"),
        presence_penalty=fields.number("presence_penalty", negative=True),
        frequency_penalty=fields.number("frequency_penalty", negative=True),
        seed=fields.count("seed", most=UNSIGNED_64_MAX),
        logit_bias=fields.biases("logit_bias"),
    )
