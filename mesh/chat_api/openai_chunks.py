"""The chunks of OpenAI's API, turned into the messages that a node's stream would give."""

import math
from dataclasses import dataclass
from typing import Any

from mesh.chat_api.answer import Answer
from mesh.chat_api.checked import (
    Json,
    of_type,
    read_count,
    read_list,
    read_object,
    read_part,
    read_text,
)
from mesh.chat_api.refusals import refusal_in_band
from mesh.core.types import FinishReason, Usage
from mesh.errors import NodeLost
from mesh.v1 import inference_pb2 as inference

DONE = "[DONE]"
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


@dataclass(slots=True)
class Chunks(Answer):
    """An answer of ``/chat/completions``."""

    def _event(self, event: str, delta: inference.GenerationDelta) -> None:
        if event == DONE:
            self.done = True
            return
        chunk = read_object(event)
        if chunk.get("error"):
            raise refusal_in_band(chunk)
        if isinstance(told := chunk.get("usage"), dict):
            self.told = _usage(told) or self.told  # the last one counts: some send sums as they go
        choices = read_list(chunk, "choices")
        if not choices or self.reason is not None:
            return
        choice = of_type(choices[0], dict, "choices[0]")
        self._delta(read_part(choice, "delta"), delta)
        if isinstance(logprobs := choice.get("logprobs"), dict):
            delta.logprobs.extend(_logprob(each) for each in read_list(logprobs, "content"))
        if (reason := choice.get("finish_reason")) is not None:
            self.reason = _finish_reason(reason)

    def _delta(self, told: Json, delta: inference.GenerationDelta) -> None:
        text = "".join(read_text(told, name) for name in TEXTS)
        reasoning = next(filter(None, (read_text(told, name) for name in REASONINGS)), "")
        fragments = read_list(told, "tool_calls")
        for fragment in fragments:
            self._fragment(of_type(fragment, dict, "tool_calls"))
        if text or reasoning or fragments:  # else the role alone, or a sign of life
            self._said(delta, text, reasoning)

    def _fragment(self, fragment: Json) -> None:
        function = read_part(fragment, "function")
        self._called(
            read_count(fragment.get("index", 0)),
            call_id=read_text(fragment, "id"),
            name=read_text(function, "name"),
            arguments=read_text(function, "arguments"),
        )


def _finish_reason(reason: Any) -> FinishReason:
    known = FINISH_REASONS.get(reason) if isinstance(reason, str) else None
    if known is None:
        raise NodeLost("the upstream ended its answer for a reason that nobody knows")
    return known


def _usage(told: Json) -> Usage | None:
    """Return what the upstream counted, or None where it makes no sense."""
    prompt = read_count(told.get("prompt_tokens"))
    completion = read_count(told.get("completion_tokens"))
    if prompt is None or completion is None:
        return None
    in_prompt, in_answer = (
        details if isinstance(details := told.get(name), dict) else {}
        for name in ("prompt_tokens_details", "completion_tokens_details")
    )
    cached = in_prompt.get("cached_tokens", told.get("prompt_cache_hit_tokens"))  # DeepSeek's
    cached_tokens = min(prompt, read_count(cached) or 0)
    written = read_count(in_prompt.get("cache_write_tokens")) or 0  # OpenRouter's
    return Usage(
        prompt,
        cached_tokens,
        completion,
        min(completion, read_count(in_answer.get("reasoning_tokens")) or 0),
        cache_written_tokens=min(prompt - cached_tokens, written),
    )


def _logprob(entry: Any) -> inference.TokenLogprobs:
    told = of_type(entry, dict, "logprobs")
    return inference.TokenLogprobs(
        logprob=_number(told),
        text=_token(told),
        alternatives=[
            inference.TokenLogprobs.Alternative(logprob=_number(each), text=_token(each))
            for each in (
                of_type(top, dict, "top_logprobs") for top in read_list(told, "top_logprobs")
            )
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
    return read_text(told, "token").encode()
