"""Makes prompts: on the main thread, where a template's time can be limited by a signal."""

import traceback
from collections.abc import Callable
from hashlib import blake2b
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from mesh.core.generation import Generation
from mesh.errors import ContextOverflow, InternalError, InvalidRequest, MeshError, Unsupported
from node_agent.engine.inbox import Inbox, Prepared, Prompt
from node_agent.engine.llama import Llama
from node_agent.engine.messages import (
    CountTokens,
    Embed,
    Failed,
    FromEngine,
    Generate,
    TokensCounted,
)
from node_agent.engine.reply import PLAIN, THINK, Reading
from node_agent.engine.template import ChatTemplate
from node_agent.engine.tool_choice import callable_tools, required_tools

if TYPE_CHECKING:
    from node_agent.engine.constraint import Constraint, Grammars

# Text has 4 to 6 characters a token. To count the tokens of megabytes would hold up whoever waits
# for a prompt, for seconds.
_CHARACTERS_PER_TOKEN_MAX = 16
_TAIL_TOKENS = 16  # of a prompt, in which it may have begun a thought; <think> has 7 characters


class Prompter:
    """Makes the prompt of each request, and what binds its answer."""

    def __init__(
        self, llama: Llama, template: ChatTemplate, send: Callable[[FromEngine], None]
    ) -> None:
        """``send`` takes what is answered here already: how long a prompt is."""
        self._llama = llama
        self._template = template
        self._send = send
        self._grammars: Grammars | None = None

    def prepare_all(self, inbox: Inbox) -> NoReturn:
        """Make a prompt of each request, for as long as the process lives."""
        while True:
            match inbox.asked():
                case Generate(number, work):
                    inbox.prepared(Prepared(number, work, self._prepare(work)))
                case CountTokens(number, work):
                    self._send(self._count(number, work))
                case Embed(number, _):
                    inbox.ended(number)
                    self._send(Failed(number, Unsupported("the model writes text")))

    def _count(self, number: int, work: Generation) -> FromEngine:
        try:
            return TokensCounted(number, len(self._read(work)))
        except MeshError as failure:
            return Failed(number, failure)
        except Exception as failure:  # a bug of ours ends the request, not the process
            return Failed(number, InternalError(whereabouts(failure)))

    def _prepare(self, work: Generation) -> Prompt | MeshError:
        try:
            self._refuse_unknown_tokens(work)
            ids = self._ids(work)
            reading = self._reading(work, ids)
            _load_what_reads_logits(work)
            return Prompt(ids, self._constraint(work, reading), reading)
        except MeshError as failure:
            return failure
        except Exception as failure:  # a bug of ours ends the request, not the process
            return InternalError(whereabouts(failure))

    def _ids(self, work: Generation) -> tuple[int, ...]:
        """Those that an answer was begun with, if it is resumed: a template may tell the time."""
        resume, room = work.resume, self._llama.context_tokens
        ids = self._read(work) if resume is None else resume.prompt_ids
        if not ids:
            raise InvalidRequest("the prompt is empty", hint="send at least one message with text")
        if len(ids) + 1 > room:
            raise ContextOverflow(
                f"the prompt has {len(ids)} tokens, and the model's context has room for"
                f" {room - 1} and an answer",
                hint="shorten the prompt, or use a model with a longer context",
            )
        return ids

    def _read(self, work: Generation) -> tuple[int, ...]:
        prompt = self._template.render(work.messages, callable_tools(work))
        room = self._llama.context_tokens
        if len(prompt) > _CHARACTERS_PER_TOKEN_MAX * room:
            raise ContextOverflow(
                f"the prompt has {len(prompt)} characters, far more than the model's context of"
                f" {room} tokens holds",
                hint="shorten the prompt, or use a model with a longer context",
            )
        return tuple(self._llama.tokenise(prompt))

    def _reading(self, work: Generation, ids: tuple[int, ...]) -> Reading:
        if work.form is not None:
            return PLAIN  # the form is what was asked for, whatever it looks like
        tools = callable_tools(work)
        named = b"%d %r" % (work.sampling.seed, ids)
        return Reading(
            self._template.tool_format if tools else None,
            frozenset(tool.name for tool in tools),
            thoughts=True,
            thinking=self._text_of(ids[-_TAIL_TOKENS:]).rstrip().endswith(THINK),
            ids_from=blake2b(named, digest_size=16).digest(),
        )

    def _text_of(self, ids: tuple[int, ...]) -> str:
        llama = self._llama
        return b"".join(
            llama.token_text(token).encode() if llama.is_control(token) else llama.piece(token)
            for token in ids
        ).decode(errors="replace")

    def _constraint(self, work: Generation, reading: Reading) -> "Constraint | None":
        required = required_tools(work)
        if work.form is None and not required:
            return None
        if self._grammars is None:
            from node_agent.engine.constraint import Grammars

            self._grammars = Grammars(self._llama)
        if work.form is not None:
            return self._grammars.of_form(work.form)
        from node_agent.engine.call_grammar import Thought, of_call

        thought = Thought.ALLOWED if self._template.speaks_of_thoughts else Thought.NONE
        if reading.thinking:
            thought = Thought.BEGUN
        assert reading.format is not None
        control_token = self._llama.control_token
        return of_call(self._grammars, required, reading.format, control_token, thought)

    def _refuse_unknown_tokens(self, work: Generation) -> None:
        """llama.cpp would read and write beyond its arrays."""
        named = [token for token, _ in work.sampling.logit_bias]
        if work.resume is not None:
            named += (*work.resume.prompt_ids, *work.resume.emitted_ids)
        known = self._llama.vocabulary_size
        if (unknown := max(named, default=0)) >= known:
            raise InvalidRequest(
                f"there is no token {unknown}: this model has {known}",
                hint="use the ids of the model that answers",
            )


def _load_what_reads_logits(work: Generation) -> None:
    """Here, not where the model works: it takes 70 ms, once, for which all others would wait."""
    if work.signs or work.logprobs is not None:
        import_module("node_agent.engine.logits")


def whereabouts(failure: Exception) -> str:
    """Return a failure's kind and place, not its words: they may quote a prompt."""
    frame = traceback.extract_tb(failure.__traceback__)[-1]
    place = f"{Path(frame.filename).name}:{frame.lineno}"
    return f"the engine failed with {type(failure).__name__} at {place}"
