"""One answer on one model, from its messages to its last token."""

import time
from collections.abc import Callable, Generator, Iterator

from mesh.core.generation import (
    Delta,
    Finished,
    Generation,
    GenerationEvent,
    Started,
    TokenLogprob,
)
from mesh.core.types import FinishReason, Usage
from mesh.errors import ContextOverflow, InvalidRequest
from node_agent.engine.answer_text import AnswerText
from node_agent.engine.llama import Llama
from node_agent.engine.sampler import Sampler
from node_agent.engine.template import ChatTemplate


def answer(llama: Llama, template: ChatTemplate, work: Generation) -> Iterator[GenerationEvent]:
    """Yield ``Started``, a ``Delta`` for each token, and ``Finished``.

    Each drawn id is in exactly one delta, but for the one that ends the turn, which is in none. A
    last delta without ids brings text that was held back until the turn ended. Log-probabilities
    stay with their ids, so they may come before the text that they belong to, and those of a stop
    string come though its text does not.

    Raises:
        InvalidRequest, ContextOverflow: the request can't be answered; nothing was yielded.
        Aborted, DecodeError: see ``Llama.decode``.
    """
    prompt = _prompt_ids(llama, template, work)
    cached_tokens = llama.reuse(prompt)
    yield Started(tuple(prompt), cached_tokens, llama.context_tokens, llama.numerics)
    prefill_began_s = time.monotonic()
    row = llama.decode(prompt[cached_tokens:])
    decode_began_s = time.monotonic()
    reason, drawn = yield from _decode(llama, work, prompt, row)
    yield Finished(
        reason,
        Usage(len(prompt), cached_tokens, drawn),
        prefill_s=decode_began_s - prefill_began_s,
        decode_s=time.monotonic() - decode_began_s,
    )


def _prompt_ids(llama: Llama, template: ChatTemplate, work: Generation) -> list[int]:
    prompt = llama.tokenise(template.render(work.messages))
    if not prompt:
        raise InvalidRequest("the prompt is empty", hint="send at least one message with text")
    if len(prompt) + 1 > llama.context_tokens:
        raise ContextOverflow(
            f"the prompt has {len(prompt)} tokens, and the model's context has room for"
            f" {llama.context_tokens - 1} and an answer",
            hint="shorten the prompt, or use a model with a longer context",
        )
    return prompt


def _decode(
    llama: Llama, work: Generation, prompt: list[int], row: int
) -> Generator[Delta, None, tuple[FinishReason, int]]:
    """Yield the answer's deltas; return why it ended and how many tokens were drawn."""
    text = AnswerText(work.stop)
    logprobs = _logprobs(llama, work)
    last = min(work.max_tokens, llama.context_tokens - len(prompt)) - 1
    with Sampler(work.sampling, llama.vocabulary_size, prompt) as sampler:
        for offset in range(last + 1):
            token = sampler.draw(llama.context, row, offset)
            if llama.ends_turn(token):
                if rest := text.finish():
                    yield Delta(offset, (), rest)
                return FinishReason.STOP, offset
            shown = text.feed(llama.piece(token))
            if offset == last:
                shown += text.finish()
            yield Delta(offset, (token,), shown, logprobs(row, token))
            if text.stopped:
                return FinishReason.STOP, offset + 1
            if offset < last:
                row = llama.decode([token])
    return FinishReason.LENGTH, last + 1


def _logprobs(llama: Llama, work: Generation) -> Callable[[int, int], tuple[TokenLogprob, ...]]:
    """Return what tells the log-probability of a token drawn from a row, or nothing if unasked."""
    if (alternatives := work.logprobs) is None:
        return lambda row, token: ()
    from node_agent.engine.logprobs import token_logprob

    return lambda row, token: (token_logprob(llama, row, token, alternatives),)
