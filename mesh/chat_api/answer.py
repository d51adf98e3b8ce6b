"""One answer as it comes, whichever API it comes by: what was said so far, and what it took.

Everything here is the word of a machine that may be broken or hostile: sizes are bounded, and
what makes no sense is a failure, never an answer.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

from mesh.chat_api.estimates import likely
from mesh.core.types import FinishReason, Usage
from mesh.errors import NodeLost
from mesh.v1 import inference_pb2 as inference

TOOL_CALLS_MAX = 128  # as many as there may be tools
TOOL_CALL_BYTES_MAX = 1024 * 1024  # of all of them: arguments are written by a model


@dataclass(slots=True)
class Answer(ABC):
    """Takes the events of a stream. An API's own kind of it says what one of them means."""

    prompt_tokens: int  # likely ones, if the upstream tells none
    count: int = 0  # events with a part of the answer
    reason: FinishReason | None = None  # set once the upstream has said that it is whole
    told: Usage | None = None  # of all that was asked: set by the upstream's last word alone
    done: bool = False  # its last event came; what comes after it is nobody's answer
    _given: int = 0  # those of ``count`` that were handed out
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
        ``count``, by events, since nobody tells tokens.

        Tool calls come in fragments whose frames are the upstream's own: they are handed out whole,
        once the answer is.

        Raises:
            MeshError: the upstream failed, or sent what is no event of its API.
        """
        before, delta = self.reason, inference.GenerationDelta(token_offset=self._given)
        for event in events:
            if self.done:
                break
            self._event(event, delta)
        if self.reason is not None and before is None:
            delta.tool_calls.extend(self._call(index) for index in sorted(self._calls))
        if not (delta.text or delta.reasoning or delta.tool_calls or delta.logprobs):
            return None
        self._given = self.count
        return delta

    @abstractmethod
    def _event(self, event: str, delta: inference.GenerationDelta) -> None:
        """Take in one event, and add what it says of the answer to ``delta``."""

    def _said(self, delta: inference.GenerationDelta, text: str, reasoning: str) -> None:
        """Add words to the answer."""
        delta.text += text
        delta.reasoning += reasoning
        self.count += 1
        self._answer_bytes += len(text.encode()) + len(reasoning.encode())

    def _called(self, index: int | None, *, call_id: str, name: str, arguments: str) -> None:
        """Add a fragment to a tool call. Its id and name are the first ones that came."""
        if index is None or index >= TOOL_CALLS_MAX:
            raise NodeLost("the upstream sent a tool call without a sensible index")
        call = self._calls.setdefault(index, inference.ToolCall())
        self._arguments.setdefault(index, []).append(arguments)
        self._answer_bytes += len(arguments.encode())
        self._calls_bytes += len(arguments.encode())
        if not call.id:
            call.id = call_id
            self._calls_bytes += len(call_id)
        if not call.name:
            call.name = name
            self._calls_bytes += len(name)
        if self._calls_bytes > TOOL_CALL_BYTES_MAX:
            raise NodeLost(f"the upstream sent tool calls of over {TOOL_CALL_BYTES_MAX} bytes")

    def _call(self, index: int) -> inference.ToolCall:
        call = self._calls[index]
        call.arguments_json = "".join(self._arguments[index])
        return call
