"""One answer on one model: draws its tokens, and tells what they add."""

import time
from collections.abc import Callable, Sequence

from mesh.core.generation import Delta, Finished, Generation, Started, TokenLogprob
from mesh.core.types import FinishReason, Usage
from node_agent.engine.answer_text import AnswerText
from node_agent.engine.llama import Llama
from node_agent.engine.sampler import Sampler


class Answer:
    """From the first draw to the last. Owns native memory: ``close`` it, however it ends.

    Each drawn id is in exactly one delta, but for the one that ends the turn, which is in none. A
    last delta without ids brings text that was held back until the turn ended. Log-probabilities
    stay with their ids, so they may come before the text that they belong to, and those of a stop
    string come though its text does not.
    """

    def __init__(self, llama: Llama, work: Generation, prompt: Sequence[int]) -> None:
        self.next_token: int | None = None  # drawn, and to be decoded for another
        self._llama = llama
        self._prompt = prompt
        self._cached_tokens = 0
        self._text = AnswerText(work.stop)
        self._logprobs = _logprobs(llama, work)
        self._most = min(work.max_tokens, llama.context_tokens - len(prompt))
        self._drawn = 0  # tokens of the answer
        self._reason: FinishReason | None = None
        self._prefill_s = 0.0
        self._decode_began_s = 0.0
        self._sampler = Sampler(work.sampling, llama.vocabulary_size, prompt)

    def started(self, cached_tokens: int) -> Started:
        """Return the first event."""
        self._cached_tokens = cached_tokens
        llama = self._llama
        return Started(tuple(self._prompt), cached_tokens, llama.context_tokens, llama.numerics)

    def read(self, duration_s: float) -> None:
        """Part of the prompt was read."""
        self._prefill_s += duration_s
        self._decode_began_s = time.monotonic()

    def draw(self, row: int) -> Delta | None:
        """Draw the next token from a row of the last step; return what it adds, if anything.

        ``next_token`` is None afterwards if it was the last one.
        """
        llama, text, offset = self._llama, self._text, self._drawn
        token = self._sampler.draw(llama.context, row, offset)
        self.next_token = None
        if llama.ends_turn(token):
            self._reason = FinishReason.STOP
            rest = text.finish()
            return Delta(offset, (), rest) if rest else None
        self._drawn += 1
        shown = text.feed(llama.piece(token))
        if text.stopped:
            self._reason = FinishReason.STOP
        elif self._drawn == self._most:
            shown += text.finish()
            self._reason = FinishReason.STOP if text.stopped else FinishReason.LENGTH
        else:
            self.next_token = token
        return Delta(offset, (token,), shown, self._logprobs(row, token))

    def finished(self) -> Finished:
        """Return the last event."""
        assert self._reason is not None, "it has not ended"
        return Finished(
            self._reason,
            Usage(len(self._prompt), self._cached_tokens, self._drawn),
            prefill_s=self._prefill_s,
            decode_s=time.monotonic() - self._decode_began_s,
        )

    def close(self) -> None:
        self._sampler.close()


def _logprobs(llama: Llama, work: Generation) -> Callable[[int, int], tuple[TokenLogprob, ...]]:
    """Return what tells the log-probability of a token drawn from a row, or nothing if unasked."""
    if (alternatives := work.logprobs) is None:
        return lambda row, token: ()
    from node_agent.engine.logprobs import token_logprob

    return lambda row, token: (token_logprob(llama, row, token, alternatives),)
