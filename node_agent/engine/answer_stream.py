"""One answer on its way from the engine process to whoever asked: checked, and bounded.

The reader of the pipe never waits for the one who asked: one slow reader must not hold up the other
answers in the same pipe. So what is not yet read waits here. From EVENTS_MAX on, deltas are joined
to the last one waiting, so a reader who never comes costs one answer, its text and what was asked
for of its tokens, and no more.
"""

import asyncio
from collections import deque

from mesh.core.generation import (
    TOKEN_BYTES_MAX,
    Delta,
    Finished,
    Generation,
    GenerationEvent,
    Started,
)
from mesh.errors import MeshError
from node_agent.engine.frames import FrameError

EVENTS_MAX = 64  # a second or two of tokens: who is further behind gains nothing from single ones
JOINED_TOKENS_MAX = 256  # each joining copies what is there, so a joined delta stays short


class AnswerStream:
    """The events of one answer: ``put`` by the pipe's reader, ``next`` by the one who asked."""

    def __init__(self, work: Generation, *, context_tokens: int) -> None:
        self.ended = asyncio.Event()  # the engine has sent its last message about this request
        self._waiting: deque[GenerationEvent] = deque()
        self._more = asyncio.Event()
        self._failure: MeshError | None = None
        self._context_tokens = context_tokens
        self._max_tokens = work.max_tokens
        self._logprobs = work.logprobs
        self._signs = work.signs
        self._started: Started | None = None
        self._tokens = len(work.resume.emitted_ids) if work.resume else 0
        self._characters = 0
        self._tail_seen = False

    def put(self, event: GenerationEvent) -> None:
        """Take the engine's next event.

        Raises:
            FrameError: it can't follow what came before, so the engine is not to be believed.
        """
        match event:
            case Started():
                self._check_started(event)
            case Delta():
                self._check_delta(event)
            case Finished():
                self._check_finished(event)
        self._keep(event)
        if isinstance(event, Finished):
            self.ended.set()
        self._more.set()

    def end(self, failure: MeshError | None) -> None:
        """End the answer early: by ``failure``, or because it was cancelled."""
        self._failure = failure
        self.ended.set()
        self._more.set()

    async def next(self) -> GenerationEvent | None:
        """Return the next event, None after the last.

        Raises:
            MeshError: what the answer was ended by, after the events before it.
        """
        while not self._waiting:
            if self.ended.is_set():
                if self._failure is not None:
                    raise self._failure
                return None
            self._more.clear()
            await self._more.wait()
        return self._waiting.popleft()

    def _keep(self, event: GenerationEvent) -> None:
        last = self._waiting[-1] if len(self._waiting) >= EVENTS_MAX else None
        match last, event:
            case Delta(), Delta() if len(last.ids) < JOINED_TOKENS_MAX:
                self._waiting[-1] = Delta.joined((last, event))
            case _:
                self._waiting.append(event)

    def _check_started(self, event: Started) -> None:
        prompt_tokens = len(event.prompt_ids)
        if self._started is not None or self.ended.is_set():
            raise FrameError("an answer started twice")
        if (
            event.context_tokens != self._context_tokens
            or not 0 < prompt_tokens < self._context_tokens
        ):
            raise FrameError("a prompt does not fit the context")
        if event.cached_tokens > prompt_tokens:
            raise FrameError("more of a prompt was cached than there is of it")
        self._started = event

    def _check_delta(self, event: Delta) -> None:
        if self._started is None or self.ended.is_set() or self._tail_seen:
            raise FrameError("a delta came out of order")
        if event.token_offset != self._tokens:
            raise FrameError("a delta left a gap, or repeated a token")
        self._tokens += len(event.ids)
        self._characters += len(event.text) + len(event.reasoning)
        self._characters += sum(
            len(call.id) + len(call.name) + len(call.arguments_json) for call in event.tool_calls
        )
        self._tail_seen = not event.ids  # only held-back text, after the last token
        room = self._context_tokens - len(self._started.prompt_ids)
        if self._tokens > min(self._max_tokens, room):
            raise FrameError("an answer is longer than was asked for")
        if self._characters > TOKEN_BYTES_MAX * self._tokens:
            raise FrameError("an answer has more text than its tokens could hold")
        self._check_logprobs(event)
        if len(event.signs) != (len(event.ids) if self._signs else 0):
            raise FrameError("signs are not one for each token, or were not asked for")

    def _check_logprobs(self, event: Delta) -> None:
        wanted = () if self._logprobs is None else event.ids
        if tuple(told.id for told in event.logprobs) != wanted:
            raise FrameError("log-probabilities are not those of the tokens, or were not asked for")
        for told in event.logprobs:
            if len(told.alternatives) > (self._logprobs or 0):
                raise FrameError("more alternatives came than were asked for")

    def _check_finished(self, event: Finished) -> None:
        if self._started is None or self.ended.is_set():
            raise FrameError("an answer finished out of order")
        usage, started = event.usage, self._started
        counted = (usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens)
        if counted != (len(started.prompt_ids), started.cached_tokens, self._tokens):
            raise FrameError("an answer's usage is not what was sent")
        if usage.reasoning_tokens > usage.completion_tokens:
            raise FrameError("an answer thought more than it has tokens")
