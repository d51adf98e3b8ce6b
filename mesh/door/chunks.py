"""A streamed answer, chunk by chunk.

All chunks of an answer begin and end alike, so these parts are written once; what is left for each
batch of tokens is to quote its text. That is most of what keeps the door fast.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from mesh.door.asked import Asked
from mesh.door.failures import error_object
from mesh.door.fields import (
    FINISH_REASONS,
    CallNumbers,
    logprob_objects,
    receipt_object,
    to_json,
    usage_object,
)
from mesh.errors import MeshError
from mesh.v1 import inference_pb2 as inference

DONE = b"data: [DONE]\n\n"


@dataclass(slots=True)
class Chunks:
    """Writes the chunks of one answer, as events of a stream of server-sent events."""

    asked: Asked
    answer_id: str
    created: int  # seconds since 1970
    started: inference.GenerationStarted
    _calls: CallNumbers = field(init=False)
    _before: bytes = field(init=False)  # up to the list of choices
    _after_text: bytes = field(init=False)
    _usage: bytes = field(init=False)

    def __post_init__(self) -> None:
        self._calls = CallNumbers(self.answer_id, self.asked.one_call_only)
        common = to_json(
            {
                "id": self.answer_id,
                "object": "chat.completion.chunk",
                "created": self.created,
                "model": self.started.model_name,
                "system_fingerprint": self.started.numerics or None,
            }
        )
        self._before = b"data: " + common[:-1] + b',"choices":['
        # Where usage was asked for, every chunk but the last says that it is not there yet.
        self._usage = b',"usage":null' if self.asked.include_usage else b""
        self._after_text = b'},"logprobs":null,"finish_reason":null}]' + self._usage + b"}\n\n"

    def first(self) -> bytes:
        """Say who speaks."""
        return self._choice({"role": "assistant", "content": "", "refusal": None})

    def delta(self, delta: inference.GenerationDelta) -> bytes:
        """Return what the client sees of ``delta``; nothing, while a character is incomplete."""
        if delta.text and not (delta.logprobs or delta.reasoning or delta.tool_calls):
            quoted = json.dumps(delta.text).encode()
            return self._before + b'{"index":0,"delta":{"content":' + quoted + self._after_text
        shown: dict[str, Any] = {}
        if delta.text:
            shown["content"] = delta.text
        if delta.reasoning:
            shown["reasoning_content"] = delta.reasoning
        if calls := self._calls.deltas(delta.tool_calls):
            shown["tool_calls"] = calls
        asked_for = self.asked.logprobs and delta.logprobs
        logprobs = {"content": logprob_objects(delta.logprobs), "refusal": None}
        if not (shown or asked_for):
            return b""
        return self._choice(shown or {"content": ""}, logprobs=logprobs if asked_for else None)

    def last(self, finished: inference.GenerationFinished) -> bytes:
        """Say why it ended. The last chunk of all carries the receipt, as the key ``deskmesh``."""
        receipt = b',"deskmesh":' + to_json(receipt_object(finished.receipt))
        reason = FINISH_REASONS.get(finished.reason, "stop")
        if not self.asked.include_usage:
            return self._choice({}, reason=reason, extra=receipt) + DONE
        usage = b'],"usage":' + to_json(usage_object(finished.usage))
        return b"".join(
            (self._choice({}, reason=reason), self._before, usage, receipt, b"}\n\n", DONE)
        )

    def broken(self, failure: MeshError) -> bytes:
        """Say that no more will come. OpenAI's clients raise it as an ``APIError``."""
        return b"data: " + to_json({"error": error_object(failure)}) + b"\n\n"

    def _choice(
        self,
        delta: dict[str, Any],
        *,
        logprobs: dict[str, Any] | None = None,
        reason: str | None = None,
        extra: bytes = b"",
    ) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": reason}
        return b"".join((self._before, to_json(choice), b"]", self._usage, extra, b"}\n\n"))
