"""The upstream's chunks, checked and turned into the messages that a node's stream would give.

Everything here is the word of a machine that may be broken or hostile: types are checked, sizes
are bounded, and what makes no sense is a failure, never an answer.
"""

import json
import math
from dataclasses import dataclass, field
from typing import Any

from coordinator.cloud.estimates import likely
from coordinator.cloud.refusals import refusal_in_band
from mesh.core.types import FinishReason, Usage
from mesh.errors import NodeLost
from mesh.v1 import inference_pb2 as inference

FINISH_REASONS = {
    "stop": FinishReason.STOP,
    "eos": FinishReason.STOP,
    "end_turn": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "max_tokens": FinishReason.LENGTH,
    "model_length": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
    "content_filter": FinishReason.CONTENT_FILTER,
}
REASONINGS = ("reasoning_content", "reasoning")  # no standard: DeepSeek's and vLLM's, OpenRouter's
TEXTS = ("content", "refusal")  # a refusal is what the model says instead

TOOL_CALLS_MAX = 128  # as many as there may be tools
TOOL_CALL_BYTES_MAX = 1024 * 1024  # of all of them: arguments are written by a model
TOKENS_MAX = 2**32 - 1  # what a message of ours can hold

Json = dict[str, Any]


@dataclass(slots=True)
class Chunks:
    """One answer as it comes. ``reason`` is set once the upstream has said that it is whole."""

    prompt_tokens: int  # likely ones, if the upstream tells none
    count: int = 0  # chunks with a part of the answer
    reason: FinishReason | None = None
    told: Usage | None = None
    _given: int = 0  # those of them that were handed out
    _answer_bytes: int = 0
    _calls: dict[int, inference.ToolCall] = field(default_factory=dict)
    _arguments: dict[int, list[str]] = field(default_factory=dict)  # joined once: they are many
    _calls_bytes: int = 0

    @property
    def usage(self) -> Usage:
        """As the upstream told it, else estimated and marked so."""
        return self.told or likely(self.prompt_tokens, self._answer_bytes, self.count)

    def take(self, events: list[str]) -> inference.GenerationDelta | None:
        """Read some events; return the part of the answer in them, if any: ``token_offset`` to
        ``count``, by chunks, since nobody tells tokens.

        Tool calls come in fragments whose frames are the upstream's own: they are handed out whole,
        once the answer is.

        Raises:
            MeshError: the upstream failed, or sent what is no chunk.
        """
        before, delta = self.reason, inference.GenerationDelta(token_offset=self._given)
        for event in events:
            self._chunk(_object(event), delta)
        if self.reason is not None and before is None:
            delta.tool_calls.extend(self._call(index) for index in sorted(self._calls))
        if not (delta.text or delta.reasoning or delta.tool_calls or delta.logprobs):
            return None
        self._given = self.count
        return delta

    def _chunk(self, chunk: Json, delta: inference.GenerationDelta) -> None:
        if chunk.get("error"):
            raise refusal_in_band(chunk)
        if isinstance(told := chunk.get("usage"), dict):
            self.told = _usage(told) or self.told
        choices = _list(chunk, "choices")
        if not choices or self.reason is not None:
            return
        choice = _of_type(choices[0], dict, "choices[0]")
        self._delta(_of_type(choice.get("delta") or {}, dict, "delta"), delta)
        if isinstance(logprobs := choice.get("logprobs"), dict):
            delta.logprobs.extend(_logprob(each) for each in _list(logprobs, "content"))
        if (reason := choice.get("finish_reason")) is not None:
            self.reason = _finish_reason(reason)

    def _delta(self, told: Json, delta: inference.GenerationDelta) -> None:
        text = "".join(_text(told, name) for name in TEXTS)
        reasoning = next(filter(None, (_text(told, name) for name in REASONINGS)), "")
        fragments = _list(told, "tool_calls")
        for fragment in fragments:
            self._fragment(_of_type(fragment, dict, "tool_calls"))
        if not (text or reasoning or fragments):
            return  # the role alone, or a sign of life
        delta.text += text
        delta.reasoning += reasoning
        self.count += 1
        self._answer_bytes += len(text.encode()) + len(reasoning.encode())

    def _fragment(self, fragment: Json) -> None:
        index = _count(fragment.get("index", 0))
        if index is None or index >= TOOL_CALLS_MAX:
            raise NodeLost("the upstream sent a tool call without a sensible index")
        call = self._calls.setdefault(index, inference.ToolCall())
        function = _of_type(fragment.get("function") or {}, dict, "function")
        arguments = _text(function, "arguments")
        self._arguments.setdefault(index, []).append(arguments)
        self._answer_bytes += len(arguments.encode())
        self._calls_bytes += len(arguments.encode())
        if not call.id:
            call.id = _text(fragment, "id")
            self._calls_bytes += len(call.id)
        if not call.name:
            call.name = _text(function, "name")
            self._calls_bytes += len(call.name)
        if self._calls_bytes > TOOL_CALL_BYTES_MAX:
            raise NodeLost(f"the upstream sent tool calls of over {TOOL_CALL_BYTES_MAX} bytes")

    def _call(self, index: int) -> inference.ToolCall:
        call = self._calls[index]
        call.arguments_json = "".join(self._arguments[index])
        return call


def _object(event: str) -> Json:
    try:
        return _of_type(json.loads(event), dict, "a chunk")
    except (ValueError, RecursionError):
        raise NodeLost("the upstream sent what is not JSON") from None


def _of_type(value: Any, kind: type[Json], what: str) -> Json:
    if not isinstance(value, kind):
        raise NodeLost(f"the upstream sent a malformed chunk: {what} is of the wrong type")
    return value


def _list(holder: Json, name: str) -> list[Any]:
    value = holder.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise NodeLost(f"the upstream sent a malformed chunk: {name} is no list")
    return value


def _text(holder: Json, name: str) -> str:
    value = holder.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise NodeLost(f"the upstream sent a malformed chunk: {name} is no text")
    try:
        value.encode()
    except UnicodeEncodeError:  # JSON may escape half of a character, which no message can hold
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return value


def _finish_reason(reason: Any) -> FinishReason:
    known = FINISH_REASONS.get(reason) if isinstance(reason, str) else None
    if known is None:
        raise NodeLost("the upstream ended its answer for a reason that nobody knows")
    return known


def _usage(told: Json) -> Usage | None:
    """Return what the upstream counted, or None where it makes no sense."""
    prompt, completion = _count(told.get("prompt_tokens")), _count(told.get("completion_tokens"))
    if prompt is None or completion is None:
        return None
    in_prompt, in_answer = (
        details if isinstance(details := told.get(name), dict) else {}
        for name in ("prompt_tokens_details", "completion_tokens_details")
    )
    cached = in_prompt.get("cached_tokens", told.get("prompt_cache_hit_tokens"))  # DeepSeek's
    reasoning = in_answer.get("reasoning_tokens")
    return Usage(
        prompt,
        min(prompt, _count(cached) or 0),
        completion,
        min(completion, _count(reasoning) or 0),
    )


def _count(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value <= TOKENS_MAX else None


def _logprob(entry: Any) -> inference.TokenLogprobs:
    told = _of_type(entry, dict, "logprobs")
    return inference.TokenLogprobs(
        logprob=_number(told),
        text=_token(told),
        alternatives=[
            inference.TokenLogprobs.Alternative(logprob=_number(each), text=_token(each))
            for each in (_of_type(top, dict, "top_logprobs") for top in _list(told, "top_logprobs"))
        ],
    )


def _number(told: Json) -> float:
    value = told.get("logprob")
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise NodeLost("the upstream sent a malformed chunk: logprob is no number")
    return float(value)


def _token(told: Json) -> bytes:
    """The token's own bytes where the upstream tells them: half of a character has no text."""
    raw = told.get("bytes")
    if isinstance(raw, list) and all(type(each) is int and 0 <= each < 256 for each in raw):
        return bytes(raw)
    return _text(told, "token").encode()
