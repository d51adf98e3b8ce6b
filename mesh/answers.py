"""Answers as a program gets them: as a stream of text, or whole."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from mesh.call_pieces import CallPieces
from mesh.conversation import Message, ToolCall
from mesh.core.generation import TokenLogprob
from mesh.shown_tokens import ShownTokens
from mesh.v1 import inference_pb2 as inference
from mesh.wire.logprobs import read_logprobs


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer, and its account."""

    text: str
    finish_reason: str  # "stop", "length", "tool_calls" or "content_filter"
    usage: inference.Usage
    receipt: inference.Receipt
    logprobs: tuple[TokenLogprob, ...] = ()  # of the tokens in the text, if they were asked for
    tool_calls: tuple[ToolCall, ...] = ()
    reasoning: str = ""  # the model's thoughts, where it tells them

    @property
    def message(self) -> Message:
        """The answer as a turn of the conversation, to send back with what is said next."""
        return Message("assistant", self.text, reasoning=self.reasoning, tool_calls=self.tool_calls)


@dataclass(slots=True)
class AnswerStream:
    """The text of an answer as it comes; leaving the ``async with`` block cancels the rest.

    ``receipt``, ``usage``, ``finish_reason`` and ``tool_calls`` are there once the iteration has
    ended. ``logprobs`` has come as far as the text: it tells of its tokens, and not of those of a
    stop string.
    """

    _events: AsyncGenerator[inference.GenerateEvent, None]
    # How often it began anew where nobody could go on with it: what came before is void then.
    restarts: int = 0
    started: inference.GenerationStarted = field(default_factory=inference.GenerationStarted)
    usage: inference.Usage = field(default_factory=inference.Usage)
    receipt: inference.Receipt = field(default_factory=inference.Receipt)
    finish_reason: str = ""
    logprobs: list[TokenLogprob] = field(default_factory=list)
    _shown: ShownTokens = field(default_factory=ShownTokens)
    _thoughts: list[str] = field(default_factory=list)
    _calls: list[tuple[str, str, list[str]]] = field(default_factory=list)  # id, name, arguments
    _pieces: CallPieces = field(default_factory=lambda: CallPieces("call_"))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._events.aclose()

    async def __aiter__(self) -> AsyncIterator[str]:
        """Yield pieces of text.

        Raises:
            MeshError: why there is no answer, or no more of it. ``receipt`` tells what was tried.
        """
        async with aclosing(self._events) as events:
            async for event in events:
                match event.WhichOneof("event"):
                    case "delta":
                        self._take(event.delta)
                        if event.delta.text:
                            yield event.delta.text
                    case "started":
                        self.started = event.started
                    case "restarted":
                        self._begin_anew()
                    case "finished":
                        self._finish(event.finished)
                    case "failed":
                        self.receipt = event.failed.receipt
                    case _:
                        pass  # of a newer protocol

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """What the model asks to be called, each whole once the iteration has ended."""
        return tuple(ToolCall(call, name, "".join(pieces)) for call, name, pieces in self._calls)

    @property
    def reasoning(self) -> str:
        """The model's thoughts so far, where it tells them."""
        return "".join(self._thoughts)

    def _begin_anew(self) -> None:
        self.restarts += 1
        self.logprobs.clear()
        self._shown, self._pieces = ShownTokens(), CallPieces("call_")
        self._thoughts.clear()
        self._calls.clear()

    def _take(self, delta: inference.GenerationDelta) -> None:
        self.logprobs += self._shown.take(delta.text, read_logprobs(delta.logprobs))
        if delta.reasoning:
            self._thoughts.append(delta.reasoning)
        for piece in delta.tool_calls:
            index, call_id = self._pieces.place(piece)
            if call_id:
                self._calls.append((call_id, piece.name, []))
            self._calls[index][2].append(piece.arguments_json)

    def _finish(self, finished: inference.GenerationFinished) -> None:
        name = inference.FinishReason.Name(finished.reason)
        self.finish_reason = name.removeprefix("FINISH_REASON_").lower()
        self.usage, self.receipt = finished.usage, finished.receipt
