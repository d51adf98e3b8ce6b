"""Ask a test model many prompts at once through llama.cpp, always taking the likeliest token.

Prompts are answered side by side, each a sequence of one context: a token for all of them costs
little more than a token for one. Rounding differs by that, so an answer may change where two
tokens are about as likely.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from types import TracebackType

import llama_cpp
import numpy
from numpy.typing import NDArray

from models import tokenizer

ANSWER_TOKENS_MAX = 320  # counting from 1 to 99 takes 287
TOP_LOGPROBS = 10
_SEQUENCES = 32
# Room for a prompt of 440 bytes and the longest answer; llama.cpp rounds to 256 tokens.
_SEQUENCE_TOKENS = 768
_CONTEXT_TOKENS = _SEQUENCES * _SEQUENCE_TOKENS


@dataclass(frozen=True, slots=True)
class Token:
    """One token of an answer.

    Attributes:
        logprob: natural log of its probability by a softmax of all tokens.
        top_logprobs: those of the ten likeliest tokens, highest first.
    """

    id: int
    logprob: float
    top_logprobs: tuple[float, ...]


@dataclass(slots=True)
class Answer:
    """What the model said.

    Attributes:
        tokens: without the mark that ends the answer.
        ended: whether it ended by itself, and was not cut off at the limit.
    """

    prompt_tokens: int
    tokens: list[Token] = field(default_factory=list)
    ended: bool = False

    @property
    def text(self) -> str:
        return tokenizer.decode([token.id for token in self.tokens])


class Asked:
    """A loaded model; leaving the ``with`` block frees it."""

    def __init__(self, file: Path, *, threads: int = 1) -> None:
        self._model = llama_cpp.Llama(str(file), n_ctx=64, verbose=False)
        settings = llama_cpp.llama_context_default_params()
        settings.n_ctx = settings.n_batch = _CONTEXT_TOKENS
        settings.n_seq_max = _SEQUENCES
        settings.n_threads = settings.n_threads_batch = threads
        self._context = llama_cpp.llama_init_from_model(self._model.model, settings)
        assert self._context, f"llama.cpp made no context for {file}"
        self._batch = llama_cpp.llama_batch_init(_CONTEXT_TOKENS, 0, 1)
        self.parameters = int(llama_cpp.llama_model_n_params(self._model.model))

    def __enter__(self) -> "Asked":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        llama_cpp.llama_batch_free(self._batch)
        llama_cpp.llama_free(self._context)
        self._model.close()

    def answers(
        self, prompts: Sequence[str], *, tokens_max: int = ANSWER_TOKENS_MAX
    ) -> Iterator[Answer]:
        """Yield the answer to each prompt, in order, cut off after ``tokens_max``.

        Raises:
            ValueError: a prompt is so long that it leaves no room for an answer.
        """
        waiting = iter(prompts)
        while some := list(islice(waiting, _SEQUENCES)):
            yield from self._together(some, min(tokens_max, ANSWER_TOKENS_MAX))

    def _together(self, prompts: Sequence[str], tokens_max: int) -> list[Answer]:
        turns = [tokenizer.turn(tokenizer.USER, text) + tokenizer.opening() for text in prompts]
        if max(map(len, turns)) > _SEQUENCE_TOKENS - ANSWER_TOKENS_MAX:
            raise ValueError(f"no room for a prompt of {max(map(len, turns))} tokens")
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self._context), True)
        answers = [Answer(prompt_tokens=len(turn)) for turn in turns]
        rows = {sequence: (0, turn) for sequence, turn in enumerate(turns)}
        for _ in range(tokens_max):
            if not rows:
                break
            rows = self._step(rows, answers)
        return answers

    def _step(
        self, rows: dict[int, tuple[int, list[int]]], answers: list[Answer]
    ) -> dict[int, tuple[int, list[int]]]:
        """Read each sequence's new tokens, from a position on; return those that it says next."""
        following = {}
        for sequence, logits in self._logits(rows).items():
            token = _likeliest(logits)
            if token.id == tokenizer.END:
                answers[sequence].ended = True
                continue
            answers[sequence].tokens.append(token)
            start, ids = rows[sequence]
            following[sequence] = (start + len(ids), [token.id])
        return following

    def _logits(self, rows: dict[int, tuple[int, list[int]]]) -> dict[int, NDArray[numpy.float32]]:
        batch, at, last = self._batch, 0, {}
        for sequence, (start, ids) in rows.items():
            for position, token in enumerate(ids, start=start):
                batch.token[at], batch.pos[at], batch.logits[at] = token, position, False
                batch.n_seq_id[at], batch.seq_id[at][0] = 1, sequence
                at += 1
            batch.logits[at - 1] = True
            last[sequence] = at - 1
        batch.n_tokens = at
        status = llama_cpp.llama_decode(self._context, batch)
        assert status == 0, f"llama.cpp's decode failed with {status}"
        shape = (tokenizer.VOCABULARY_SIZE,)
        return {
            sequence: numpy.ctypeslib.as_array(
                llama_cpp.llama_get_logits_ith(self._context, row), shape
            )
            for sequence, row in last.items()
        }


def _likeliest(logits: NDArray[numpy.float32]) -> Token:
    wide = logits.astype(numpy.float64)
    most = wide.max()
    logprobs = wide - most - numpy.log(numpy.exp(wide - most).sum())
    top = numpy.sort(logprobs)[: -TOP_LOGPROBS - 1 : -1]
    return Token(int(logprobs.argmax()), float(logprobs.max()), tuple(map(float, top)))
