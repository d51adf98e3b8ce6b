"""The events of Anthropic's Messages API, turned into the messages of a node's stream.

In order: ``message_start`` with what the prompt took; for each block of the answer a start, deltas
and a stop; ``message_delta`` with the reason for the end and the usage; ``message_stop``. Anywhere
between, ``ping`` and ``error``. Events and deltas of kinds that are not known are passed over, as
the API asks of its clients.

Usage: ``input_tokens`` are those that were neither read from a cache nor written to one; the whole
prompt is the sum of the three. Numbers in ``message_delta`` are totals so far, not additions.

Source: platform.claude.com, "Streaming messages", and the field comments of Anthropic's library.
"""

from dataclasses import dataclass, field

from mesh.chat_api.answer import Answer
from mesh.chat_api.checked import Json, read_count, read_object, read_part, read_text
from mesh.chat_api.refusals import refusal_in_band
from mesh.core.types import FinishReason, Usage
from mesh.errors import NodeLost
from mesh.v1 import inference_pb2 as inference

STOP_REASONS = {
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "max_tokens": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
    "pause_turn": FinishReason.LENGTH,  # a tool of the upstream's own took too many steps
    "tool_use": FinishReason.TOOL_CALLS,
    "refusal": FinishReason.CONTENT_FILTER,
}
INPUTS = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


@dataclass(slots=True)
class Events(Answer):
    """An answer of ``/messages``."""

    _inputs: dict[str, int] = field(default_factory=dict)  # tokens by the names of ``INPUTS``

    def _event(self, event: str, delta: inference.GenerationDelta) -> None:
        told = read_object(event)
        match told.get("type"):
            case "message_start":
                self._count_inputs(_usage_in(read_part(told, "message")))
            case "content_block_start":
                self._block(told, read_part(told, "content_block"), delta)
            case "content_block_delta":
                self._part(told, read_part(told, "delta"), delta)
            case "message_delta":
                self._end(read_part(told, "delta"), _usage_in(told))
            case "message_stop":
                self.done = True
            case "error":
                raise refusal_in_band(told)

    def _block(self, told: Json, block: Json, delta: inference.GenerationDelta) -> None:
        """A block begins; one of text or thoughts may hold its first words already."""
        if self.reason is not None:
            return
        if block.get("type") == "tool_use":
            call_id, name = read_text(block, "id"), read_text(block, "name")
            self._called(read_count(told.get("index")), call_id=call_id, name=name, arguments="")
            self._said(delta, "", "")
            return
        self._words(delta, read_text(block, "text"), read_text(block, "thinking"))

    def _part(self, told: Json, part: Json, delta: inference.GenerationDelta) -> None:
        if self.reason is not None:
            return
        match part.get("type"):
            case "text_delta":
                self._words(delta, read_text(part, "text"), "")
            case "thinking_delta":
                self._words(delta, "", read_text(part, "thinking"))
            case "input_json_delta":
                self._arguments_go_on(told, read_text(part, "partial_json"), delta)

    def _words(self, delta: inference.GenerationDelta, text: str, reasoning: str) -> None:
        if text or reasoning:
            self._said(delta, text, reasoning)

    def _arguments_go_on(self, told: Json, fragment: str, delta: inference.GenerationDelta) -> None:
        index = read_count(told.get("index"))
        if index not in self._calls:
            return  # of a tool of the upstream's own, which it calls itself
        self._called(index, call_id="", name="", arguments=fragment)
        if fragment:
            self._said(delta, "", "")

    def _end(self, delta: Json, usage: Json) -> None:
        self._count_inputs(usage)
        self.told = self._usage(usage) or self.told
        reason = delta.get("stop_reason")
        if reason is None or self.reason is not None:
            return
        self.reason = STOP_REASONS.get(reason) if isinstance(reason, str) else None
        if self.reason is None:
            raise NodeLost("the upstream ended its answer for a reason that nobody knows")

    def _call(self, index: int) -> inference.ToolCall:
        call = Answer._call(self, index)
        call.arguments_json = call.arguments_json or "{}"  # of a tool without parameters
        return call

    def _count_inputs(self, usage: Json) -> None:
        for name in INPUTS:
            if (tokens := read_count(usage.get(name))) is not None:
                self._inputs[name] = tokens

    def _usage(self, told: Json) -> Usage | None:
        """Return what the upstream counted, or None where it makes no sense."""
        completion = read_count(told.get("output_tokens"))
        fresh, read, created = (self._inputs.get(name, 0) for name in INPUTS)
        prompt = read_count(fresh + read + created)
        if completion is None or prompt is None or "input_tokens" not in self._inputs:
            return None
        details = told.get("output_tokens_details")
        thought = details.get("thinking_tokens") if isinstance(details, dict) else None
        return Usage(
            prompt,
            read,
            completion,
            min(completion, read_count(thought) or 0),
            cache_written_tokens=created,
        )


def _usage_in(holder: Json) -> Json:
    usage = holder.get("usage")
    return usage if isinstance(usage, dict) else {}
