"""The events of an adopted engine's answer, as our own engine would tell them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from mesh.chat_api.openai_chunks import Chunks
from mesh.core.chat import ToolCall
from mesh.core.generation import LOGPROB_MIN, TOKEN_BYTES_MAX, Delta, Finished, TokenLogprob
from mesh.core.types import FinishReason
from mesh.errors import NodeLost
from mesh.v1 import inference_pb2 as inference
from mesh.wire.answers import read_event
from mesh.wire.requests import TOOL_NAME


@dataclass(slots=True)
class AdoptedAnswer:
    """Takes the data of events as they come. The engine's word: checked, bounded, made whole.

    Tokens are counted by events: engines send one for each token, but for what they hold back. What
    the engine counted itself comes with the usage, at the end.
    """

    clock: Callable[[], float]
    prompt_tokens: int  # likely ones, until they are told
    logprobs: int | None = None  # alternatives that were asked for
    was_loaded: bool = True
    asked_s: float = field(init=False)
    first_token_s: float | None = None  # on the clock
    tokens: int = 0
    _calls: int = 0
    _chunks: Chunks = field(init=False)

    def __post_init__(self) -> None:
        self.asked_s = self.clock()
        self._chunks = Chunks(self.prompt_tokens)

    @property
    def reason(self) -> FinishReason | None:
        """Set once the engine has said that the answer is whole."""
        return self._chunks.reason

    @property
    def done(self) -> bool:
        return self._chunks.done

    def take(self, events: list[str]) -> Iterator[Delta]:
        """Yield what the events say of the answer, if anything.

        Raises:
            MeshError: they say that it failed, or are no events of the API.
        """
        told = self._chunks.take(events)
        if told is None:
            return
        if self.first_token_s is None:
            self.first_token_s = self.clock()
        events_before = told.token_offset
        told.token_offset = self.tokens
        told.token_count = max(self._chunks.count - events_before, len(told.logprobs))
        delta = read_event(inference.GenerateEvent(delta=told))
        assert isinstance(delta, Delta), "that is what was written"
        self.tokens += delta.tokens
        yield replace(
            delta,
            logprobs=tuple(map(self._logprob, delta.logprobs)) if self.logprobs is not None else (),
            tool_calls=tuple(map(self._call, delta.tool_calls)),
        )

    def finished(self) -> Finished:
        """Return the last event of an answer that is whole."""
        assert self.reason is not None, "it is whole"
        now_s, usage = self.clock(), self._chunks.usage
        first_s = self.first_token_s if self.first_token_s is not None else now_s
        # Until the first token an engine may have loaded the model, which says nothing of its rate.
        prefill_s = first_s - self.asked_s if self.was_loaded else 0.0
        if usage.estimated:
            usage = replace(usage, completion_tokens=max(self.tokens, 1))
        reason = FinishReason.TOOL_CALLS if self._calls else self.reason
        return Finished(reason, usage, prefill_s, now_s - first_s)

    def _logprob(self, told: TokenLogprob) -> TokenLogprob:
        alternatives = told.alternatives[: self.logprobs]
        return replace(
            told,
            logprob=_bounded(told.logprob),
            text=told.text[:TOKEN_BYTES_MAX],
            alternatives=tuple(
                replace(one, logprob=_bounded(one.logprob), text=one.text[:TOKEN_BYTES_MAX])
                for one in alternatives
            ),
        )

    def _call(self, told: ToolCall) -> ToolCall:
        """Engines leave out what a call without arguments, or an only one, seems not to need."""
        self._calls += 1
        arguments = told.arguments_json.strip() or "{}"
        if not TOOL_NAME.fullmatch(told.name) or not arguments.startswith("{"):
            raise NodeLost("the upstream sent a tool call that is none")
        return ToolCall(_call_id(told.id, self._calls), told.name, arguments)


def _call_id(told: str, number: int) -> str:
    fit = "".join(each for each in told if each.isascii() and (each.isalnum() or each in "_-"))
    return fit[:64] or f"call_{number}"


def _bounded(logprob: float) -> float:
    return min(0.0, max(LOGPROB_MIN, logprob))
