"""The parts that a streamed answer and a whole one have in common, as OpenAI's API writes them."""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from mesh.call_pieces import CallPieces
from mesh.v1 import inference_pb2 as inference
from mesh.wire.plain import to_plain

FINISH_REASONS = {
    inference.FINISH_REASON_UNSPECIFIED: "stop",
    inference.FINISH_REASON_STOP: "stop",
    inference.FINISH_REASON_LENGTH: "length",
    inference.FINISH_REASON_TOOL_CALLS: "tool_calls",
    inference.FINISH_REASON_CONTENT_FILTER: "content_filter",
}
LOGPROB_LEAST = -9999.0  # what OpenAI writes for minus infinity, which JSON cannot


def to_json(value: Any) -> bytes:
    """Return ``value`` as ASCII JSON: no line end of Unicode's can cut an event in two."""
    try:
        return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
    except ValueError:
        return json.dumps(_finite(value), separators=(",", ":"), allow_nan=False).encode()


def _finite(value: Any) -> Any:
    """A number that some machine could not tell is null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list) else value


def usage_object(usage: inference.Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def receipt_object(receipt: inference.Receipt) -> dict[str, Any]:
    """The whole receipt, with the names that ``deskmesh ask --json`` gives it."""
    return to_plain(receipt)


def logprob_objects(tokens: Iterable[inference.TokenLogprobs]) -> list[dict[str, Any]]:
    return [
        _token(each.text, each.logprob)
        | {"top_logprobs": [_token(other.text, other.logprob) for other in each.alternatives]}
        for each in tokens
    ]


def _token(text: bytes, logprob: float) -> dict[str, Any]:
    """A token may be a part of a character: ``bytes`` is exact where ``token`` cannot be."""
    return {
        "token": text.decode(errors="replace"),
        "logprob": max(logprob, LOGPROB_LEAST) if not math.isnan(logprob) else LOGPROB_LEAST,
        "bytes": list(text),
    }


@dataclass(slots=True)
class CallNumbers:
    """Tells the tool calls of an answer, each with its index, in the shape of a streamed one."""

    answer_id: str
    one_only: bool  # further calls are left out, as `parallel_tool_calls: false` asks
    _pieces: CallPieces = field(init=False)

    def __post_init__(self) -> None:
        self._pieces = CallPieces(f"call_{self.answer_id}_")

    def deltas(self, calls: Iterable[inference.ToolCall]) -> list[dict[str, Any]]:
        """Return what to tell of ``calls``, which are pieces of calls."""
        told = (self._delta(call) for call in calls)
        return [each for each in told if not (self.one_only and each["index"] > 0)]

    def _delta(self, call: inference.ToolCall) -> dict[str, Any]:
        index, call_id = self._pieces.place(call)
        if not call_id:
            return {"index": index, "function": {"arguments": call.arguments_json}}
        return {
            "index": index,
            "id": call_id,
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments_json},
        }
