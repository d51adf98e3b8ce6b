"""One answer on one model: draws its tokens, and tells what they add."""

import time
from collections.abc import Callable

from mesh.core.chat import ToolMode
from mesh.core.generation import Delta, Finished, Generation, Resume, Started, TokenLogprob
from mesh.core.signs import TokenSign
from mesh.core.types import FinishReason, Usage
from mesh.errors import InvalidRequest
from node_agent.engine.answer_text import AnswerText
from node_agent.engine.held_prefixes import Chain
from node_agent.engine.inbox import Prompt
from node_agent.engine.llama import Llama
from node_agent.engine.reply import THINK, THOUGHT, Reading, Reply, Said
from node_agent.engine.sampler import Sampler


class Answer:
    """From the first draw to the last. Owns native memory: ``close`` it, however it ends.

    Each drawn id is in exactly one delta, but for the one that ends the turn, which is in none. A
    last delta without ids brings text that was held back until the turn ended. Log-probabilities
    and signs stay with their ids, so they may come before the text that they belong to, and those
    of a stop string, a thought or a call come though they are no text.

    One that is resumed begins where the emitted ids end: what they made of penalties, constraint
    and text is made again, and nothing that was sent is sent twice.
    """

    def __init__(self, llama: Llama, work: Generation, prompt: Prompt) -> None:
        """Raises InvalidRequest: the emitted ids cannot be the beginning of this answer."""
        self.next_token: int | None = None  # drawn, and to be decoded for another
        self.begun = False
        self.ids = list(work.resume.emitted_ids) if work.resume else []
        self._llama = llama
        self.chain = Chain.of(work, len(prompt.ids))  # of its prompt's blocks
        self._prompt_ids = prompt.ids
        self._constraint = prompt.constraint
        self._cached_tokens = 0
        # A call that is required is whole, or there was no room for it: nothing else may cut it.
        required = work.tool_choice.mode is ToolMode.REQUIRED
        self._text = AnswerText(() if required else work.stop)
        self._reply = Reply(prompt.reading)
        self._marks = _marks(prompt.reading)
        self._reasoning_tokens = 0
        self._logprobs = _logprobs(llama, work)
        self._signs = _signs(llama, work)
        self._most = min(work.max_tokens, llama.context_tokens - len(prompt.ids))
        self._reason: FinishReason | None = None
        self._prefill_s = 0.0
        self._decode_began_s = time.monotonic()
        self._heard_ahead = 0  # bytes of text to come that whoever asked has: the last was held
        self._unsent = self._recall(work.resume) if work.resume else ""
        held_ids = (*prompt.ids, *self.ids)
        self._sampler = Sampler(llama, work.sampling, held_ids, prompt.constraint)

    @property
    def held_ids(self) -> tuple[int, ...]:
        """What the model must have read before the next draw."""
        return (*self._prompt_ids, *self.ids)

    @property
    def prompt_tokens(self) -> int:
        return len(self._prompt_ids)

    @property
    def over(self) -> bool:
        """Whether its last token was drawn."""
        return self._reason is not None

    def started(self, cached_tokens: int) -> Started:
        """Return the first event."""
        self.begun = True
        self._cached_tokens = min(cached_tokens, len(self._prompt_ids))
        llama = self._llama
        return Started(self._prompt_ids, self._cached_tokens, llama.context_tokens, llama.numerics)

    def rest(self) -> Delta | None:
        """Return the text that is left to send of an answer that was over when it was resumed."""
        unsent, self._unsent = self._unsent, ""
        return Delta(len(self.ids), (), unsent) if unsent else None

    def read(self, duration_s: float) -> None:
        """Part of the prompt was read, or of what was said before the answer was cut."""
        self._prefill_s += duration_s
        self._decode_began_s = time.monotonic()

    def draw(self, row: int) -> Delta | None:
        """Draw the next token from a row of the last step; return what it adds, if anything.

        ``next_token`` is None afterwards if it was the last one.

        Raises:
            InternalError, InvalidRequest: as ``Sampler.draw``.
        """
        llama, offset = self._llama, len(self.ids)
        token = self._sampler.draw(row, offset)
        self.next_token = None
        unsent, self._unsent = self._unsent, ""
        if llama.ends_turn(token):
            said = self._reply.finish(self._text.finish())
            self._reason = self._turn_ended()
            told = self._delta(offset, (), unsent, said)
            return told if told.text or told.reasoning or told.tool_calls else None
        said = self._take(token)
        if self._reason is None:
            self.next_token = token
        logprobs, signs = self._logprobs(row, token), self._signs(row, token)
        return self._delta(offset, (token,), unsent, said, logprobs=logprobs, signs=signs)

    def _take(self, token: int) -> Said:
        """Take a token into the answer; return what may be told now."""
        self.ids.append(token)
        if self._constraint is not None:
            self._constraint.accept(token)
        thinking = self._reply.thinking
        said = self._reply.feed(self._text.feed(self._piece(token)))
        self._reasoning_tokens += thinking or self._reply.thinking
        complete = self._constraint is not None and self._constraint.complete
        if self._text.stopped:
            said = said.then(self._reply.finish())
            self._reason = FinishReason.STOP
        elif complete or len(self.ids) >= self._most:
            said = said.then(self._reply.finish(self._text.finish()))
            stopped = complete or self._text.stopped
            self._reason = self._turn_ended() if stopped else FinishReason.LENGTH
        return said

    def _piece(self, token: int) -> bytes:
        """Return what a token adds; marks are text also where they are control tokens."""
        if self._marks and self._llama.is_control(token):
            text = self._llama.token_text(token)
            return text.encode() if text in self._marks else b""
        return self._llama.piece(token)

    def _turn_ended(self) -> FinishReason:
        return FinishReason.TOOL_CALLS if self._reply.calls else FinishReason.STOP

    def _recall(self, resume: Resume) -> str:
        """Take the emitted ids in again; return what of their text was never sent."""
        self.ids.clear()
        shown = ""
        for token in resume.emitted_ids:
            if self._reason is not None:
                raise InvalidRequest(
                    "resume has more ids than the answer can have",
                    hint="send the request as it was, and the ids that came",
                )
            shown += self._take(token).text  # thoughts and calls were sent with their tokens
        sent, text = resume.text_bytes_sent, shown.encode()
        unsent = text[sent:]
        self._heard_ahead = max(0, sent - len(text))
        # What was held back came with the end of the turn, which was not heard.
        held_most = 3 * sum(len(self._piece(token)) for token in self.ids) - len(text)
        amid_character = bool(unsent) and unsent[0] & 0xC0 == 0x80
        if self._heard_ahead > max(0, held_most) or amid_character:
            raise InvalidRequest(
                f"resume tells of {sent} bytes of text, and its ids made {len(text)}",
                hint="count the UTF-8 bytes of the text that came",
            )
        return unsent.decode()

    def _delta(  # noqa: PLR0913 - a delta's own fields
        self,
        offset: int,
        ids: tuple[int, ...],
        unsent: str,
        said: Said,
        *,
        logprobs: tuple[TokenLogprob, ...] = (),
        signs: tuple[TokenSign, ...] = (),
    ) -> Delta:
        text = unsent + said.text
        if self._heard_ahead:
            written = text.encode()
            text = written[self._heard_ahead :].decode(errors="ignore")
            self._heard_ahead = max(0, self._heard_ahead - len(written))
        return Delta(offset, ids, text, logprobs, said.reasoning, said.calls, signs)

    def finished(self) -> Finished:
        """Return the last event."""
        assert self._reason is not None, "it has not ended"
        return Finished(
            self._reason,
            Usage(
                len(self._prompt_ids), self._cached_tokens, len(self.ids), self._reasoning_tokens
            ),
            prefill_s=self._prefill_s,
            decode_s=time.monotonic() - self._decode_began_s,
        )

    def close(self) -> None:
        self._sampler.close()


def _marks(reading: Reading) -> frozenset[str]:
    """Return the control tokens that are text, as the reader must see them."""
    thoughts = (THINK, THOUGHT) if reading.thoughts or reading.thinking else ()
    return frozenset((*thoughts, *(reading.format.control if reading.format else ())))


def _logprobs(llama: Llama, work: Generation) -> Callable[[int, int], tuple[TokenLogprob, ...]]:
    """Return what tells the log-probability of a token drawn from a row, or nothing if unasked."""
    if (alternatives := work.logprobs) is None:
        return lambda row, token: ()
    from node_agent.engine.logprobs import token_logprob

    return lambda row, token: (token_logprob(llama, row, token, alternatives),)


def _signs(llama: Llama, work: Generation) -> Callable[[int, int], tuple[TokenSign, ...]]:
    """Return what tells how sure the model was of a token drawn from a row, or nothing."""
    if not work.signs:
        return lambda row, token: ()
    from node_agent.engine.signs import token_sign

    return lambda row, token: (token_sign(llama, row, token),)
