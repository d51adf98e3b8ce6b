"""A whole answer, collected from the events of a stream."""

from dataclasses import dataclass, field
from typing import Any

from mesh.door.asked import Asked
from mesh.door.fields import (
    FINISH_REASONS,
    CallNumbers,
    logprob_objects,
    receipt_object,
    to_json,
    usage_object,
)
from mesh.errors import AnswerLost
from mesh.rpc import MESSAGE_BYTES_MAX
from mesh.v1 import inference_pb2 as inference

ANSWER_BYTES_MAX = MESSAGE_BYTES_MAX  # an answer of 100,000 tokens with log-probabilities has 30 MB


@dataclass(slots=True)
class WholeAnswer:
    """What has come so far of one answer that is told at its end."""

    asked: Asked
    answer_id: str
    created: int  # seconds since 1970
    _texts: list[str] = field(default_factory=list)
    _thoughts: list[str] = field(default_factory=list)
    _logprobs: list[dict[str, Any]] = field(default_factory=list)
    _calls: list[dict[str, Any]] = field(default_factory=list)
    _arguments: list[list[str]] = field(default_factory=list)  # of each call, in pieces
    _numbers: CallNumbers = field(init=False)
    _size_bytes: int = 0

    def __post_init__(self) -> None:
        self._numbers = CallNumbers(self.answer_id, self.asked.one_call_only)

    def add(self, delta: inference.GenerationDelta) -> None:
        """Raises AnswerLost for more than any answer has."""
        self._size_bytes += delta.ByteSize()
        if self._size_bytes > ANSWER_BYTES_MAX:
            limit = f"{ANSWER_BYTES_MAX // 2**20} MiB"
            raise AnswerLost(f"the answer grew past {limit}", hint="set max_tokens, or stream it")
        if delta.text:
            self._texts.append(delta.text)
        if delta.reasoning:
            self._thoughts.append(delta.reasoning)
        if self.asked.logprobs:
            self._logprobs += logprob_objects(delta.logprobs)
        for call in self._numbers.deltas(delta.tool_calls):
            if "id" in call:
                self._calls.append({key: call[key] for key in ("id", "type", "function")})
                self._arguments.append([])
            self._arguments[call["index"]].append(call["function"]["arguments"])

    def body(
        self, started: inference.GenerationStarted, finished: inference.GenerationFinished
    ) -> bytes:
        """Return the response's body, with the receipt as the key ``deskmesh``."""
        logprobs = {"content": self._logprobs, "refusal": None} if self.asked.logprobs else None
        choice = {
            "index": 0,
            "message": self._message(),
            "logprobs": logprobs,
            "finish_reason": FINISH_REASONS.get(finished.reason, "stop"),
        }
        return to_json(
            {
                "id": self.answer_id,
                "object": "chat.completion",
                "created": self.created,
                "model": started.model_name,
                "system_fingerprint": started.numerics or None,
                "choices": [choice],
                "usage": usage_object(finished.usage),
                "deskmesh": receipt_object(finished.receipt),
            }
        )

    def _message(self) -> dict[str, Any]:
        text = "".join(self._texts)
        message: dict[str, Any] = {
            "role": "assistant",
            "content": text if text or not self._calls else None,
            "refusal": None,
        }
        if self._thoughts:
            message["reasoning_content"] = "".join(self._thoughts)
        for call, pieces in zip(self._calls, self._arguments, strict=True):
            call["function"]["arguments"] = "".join(pieces)
        if self._calls:
            message["tool_calls"] = self._calls
        return message
