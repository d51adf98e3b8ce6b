"""Answers that must have a form: what the model may say next, and nothing else.

By llguidance, not by llama.cpp's own grammars: those throw through C, which ends the process, on a
grammar that leaves nothing to say, and take exponential time on some; and no schema is half
enforced here: a keyword that can't be is an error. A mask over 152,000 tokens takes well under a
millisecond.

Making one may take seconds, the first time for a vocabulary of that size, so it is done where
prompts are made. Imported only once a request needs it.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np
from llguidance import LLMatcher, LLParserLimits, LLTokenizer, TokenizerWrapper
from llguidance.gbnf_to_lark import any_to_lark

from mesh.core.chat import Form, FormKind
from mesh.errors import InternalError, InvalidRequest
from node_agent.engine.grammar_trial import GrammarTrial
from node_agent.engine.logits import Logits

if TYPE_CHECKING:
    from node_agent.engine.llama import Llama

SOURCE_CHARACTERS_MAX = 256 * 1024  # of a schema or grammar; the longest of real tools have 20 KB
GBNF_CHARACTERS_MAX = 32 * 1024  # it is read by Python, in a time that grows with its square

# With llguidance's own limits an ambiguous grammar took 109 ms for a mask (260 tokens; it grows
# with the answer), and may have 250,000 states of 1 to 2 kB each. With these it took 8 ms at most.
_LIMITS = LLParserLimits(
    max_lexer_states=20_000,
    step_max_items=5_000,
    max_items_in_row=500,
    step_lexer_fuel=50_000,
    verbose_errors=False,
)
# Masks are made between two steps, so whoever streams waits for them. One takes less than this, but
# for the first ones of a large vocabulary; an answer may take a second more in all.
_MASK_S = 0.01
_MASKS_LATE_MAX_S = 1.0
_PIECE_BYTES_MAX = 1024  # llguidance takes no longer tokens; one such is never said in a form

# Between JSON's tokens: none, a space, or a new line with its indentation. Any amount, which JSON
# allows, is what small models lose themselves in.
_JSON_SPACE = r"( |\n[ \t]{0,20})?"
_REASON_CHARACTERS_MAX = 200
# Grammars kept compiled: an agent sends the same tools at every turn, and compiling 16 of them
# takes some 100 ms, copying what was compiled less than one.
_KNOWN_MAX = 8
_KNOWN_CHARACTERS_MAX = 64 * 1024  # a larger one may hold a hundred megabytes of states


class Grammars:
    """Makes constraints for one model's vocabulary."""

    def __init__(self, llama: "Llama") -> None:
        with _panics_told():
            self._tokenizer = LLTokenizer(
                TokenizerWrapper(_Vocabulary(llama)), eos_token=llama.ends_of_turn()
            )
        self._trial = GrammarTrial(llama.vocabulary_size)
        self._known: dict[bytes, LLMatcher] = {}  # by digest; the latest asked for comes last

    def close(self) -> None:
        """End what grammars are tried in; it would end with the process."""
        self._trial.close()

    def of_form(self, form: Form) -> "Constraint":
        """Raises InvalidRequest: it does not compile, or asks for what can't be enforced."""
        gbnf = form.kind is FormKind.GRAMMAR
        most = GBNF_CHARACTERS_MAX if gbnf else SOURCE_CHARACTERS_MAX
        if len(form.source) > most:
            raise InvalidRequest(
                f"the {_WORDS[form.kind]} has {len(form.source)} characters",
                hint=f"at most {most} are allowed",
            )
        match form.kind:
            case FormKind.JSON:
                return self._constraint(json_grammar('{"type": "object"}'), form.kind)
            case FormKind.JSON_SCHEMA:
                return self._constraint(json_grammar(form.source), form.kind)
            case FormKind.GRAMMAR:
                return self._constraint(_gbnf_grammar(form.source), form.kind)

    def of_lark(self, source: str) -> "Constraint":
        """``source`` is in llguidance's dialect of Lark, in which a schema may stand as ``%json``.

        Raises:
            InvalidRequest: as ``of_form``; only a schema in it comes from outside.
        """
        return self._constraint(LLMatcher.grammar_from_lark(source), FormKind.JSON_SCHEMA)

    def _constraint(self, grammar: str, kind: FormKind) -> "Constraint":
        digest = blake2b(grammar.encode(), digest_size=16).digest()
        matcher = self._known.pop(digest, None)
        if matcher is None:
            trouble = self._trial.trouble(grammar)
            if not trouble:
                with _panics_told():
                    matcher = LLMatcher(self._tokenizer, grammar, log_level=0, limits=_LIMITS)
                trouble = matcher.get_error() if matcher.is_error() else ""
            if matcher is None or trouble:
                raise InvalidRequest(
                    f"the {_WORDS[kind]} cannot be enforced: {_line(trouble)}",
                    hint="mend it, or leave out what is named",
                )
        if len(grammar) <= _KNOWN_CHARACTERS_MAX:
            self._known[digest] = matcher
        if len(self._known) > _KNOWN_MAX:
            del self._known[next(iter(self._known))]
        return Constraint(matcher.deep_copy())


class Constraint:
    """What one answer may still become. Belongs to one thread at a time."""

    def __init__(self, matcher: LLMatcher) -> None:
        self._matcher = matcher
        self._late_s = 0.0  # processor time that masks took beyond what one may

    @property
    def complete(self) -> bool:
        """Nothing more may follow."""
        return self._matcher.is_stopped()

    def narrow(self, logits: Logits) -> None:
        """Set the logit of each token that may not come next to -inf.

        Raises:
            InvalidRequest: none may, or the grammar has grown beyond its limits.
        """
        began_s = time.thread_time()
        with _panics_told():
            mask = self._matcher.compute_bitmask()
        self._late_s += max(0.0, time.thread_time() - began_s - _MASK_S)
        if self._late_s > _MASKS_LATE_MAX_S:
            raise InvalidRequest(
                "the form of the answer takes too much time to keep",
                hint="make the grammar less ambiguous",
            )
        allowed = np.unpackbits(
            np.frombuffer(mask, np.uint8), count=len(logits), bitorder="little"
        ).view(np.bool_)
        if self._matcher.is_error() or not allowed.any():
            raise InvalidRequest(
                f"the form of the answer leads nowhere: {_line(self._matcher.get_error())}",
                hint="make the grammar or schema simpler",
            )
        logits[~allowed] = -np.inf

    def accept(self, token: int) -> None:
        """Take in the token that was said.

        Raises:
            InvalidRequest: it is not one that may come; a resumed answer is not of this form.
        """
        with _panics_told():
            accepted = self._matcher.consume_token(token)
        if not accepted:
            raise InvalidRequest(
                "the answer does not have the form that was asked for",
                hint="resume with the request that it was begun with",
            )


@contextmanager
def _panics_told() -> Iterator[None]:
    """A panic of Rust is no Exception to Python, and would end the thread that it meets."""
    try:
        yield
    except BaseException as failure:
        if type(failure).__name__ != "PanicException":
            raise
        raise InternalError(
            "the form of the answer, or this model's vocabulary, is more than can be kept",
            hint="ask without a form, or ask another model",
        ) from None


def json_grammar(schema: str) -> str:
    """Return the grammar of JSON that matches ``schema``; most errors show once it is used.

    Raises:
        InvalidRequest: it is no JSON.
    """
    try:
        return LLMatcher.grammar_from_json_schema(
            schema, overrides={"whitespace_pattern": _JSON_SPACE}
        )
    except ValueError as failure:
        raise InvalidRequest(
            f"the JSON schema cannot be read: {_line(str(failure))}", hint="send it as JSON"
        ) from None


def json_space_option(schema: dict[str, object]) -> str:
    """Return ``schema`` as ``%json`` of ``of_lark`` takes it, spaced as ``json_grammar`` does."""
    return json.dumps({**schema, "x-guidance": {"whitespace_pattern": _JSON_SPACE}})


_WORDS = {
    FormKind.JSON: "form JSON",
    FormKind.JSON_SCHEMA: "JSON schema",
    FormKind.GRAMMAR: "grammar",
}


def _gbnf_grammar(source: str) -> str:
    try:
        return LLMatcher.grammar_from_lark(any_to_lark(source))
    except RecursionError:
        reason = "it is nested too deeply"
    except Exception as failure:  # a parser of text from anywhere, which raises bare ones itself
        reason = _line(str(failure))
    raise InvalidRequest(f"the grammar cannot be read: {reason}", hint="write it as GBNF")


def _line(words: str) -> str:
    return " ".join(words.split())[:_REASON_CHARACTERS_MAX]


class _Vocabulary:
    """A model's tokens, as llguidance asks for them."""

    bos_token_id = None

    def __init__(self, llama: "Llama") -> None:
        self._llama = llama
        ids = range(llama.vocabulary_size)
        self.eos_token_id = llama.ends_of_turn()[0]
        self.special_token_ids = [token for token in ids if llama.is_control(token)]
        special = set(self.special_token_ids)
        pieces = (
            llama.token_text(token).encode() if token in special else llama.piece(token)
            for token in ids
        )
        self.tokens = [piece if len(piece) <= _PIECE_BYTES_MAX else b"" for piece in pieces]

    def __call__(self, text: str | bytes) -> list[int]:
        """Tokenise; only asked for text that a grammar forces."""
        return self._llama.tokenise_text(text if isinstance(text, str) else text.decode())
