"""Renders messages by a model's own chat template, which is a program by whoever made the model.

So it runs sandboxed, in the engine process, within limits on its time and its output; the agent
kills that process should a limit not hold. The names and filters are those that templates on
Hugging Face expect of ``transformers``.
"""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NoReturn

from jinja2 import TemplateError
from jinja2.ext import Extension
from jinja2.nodes import Node
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from mesh.core.chat import Message, Tool
from mesh.errors import InvalidRequest
from mesh.platforms.here import HERE
from mesh.platforms.platform import OutOfTime
from node_agent.engine.abilities import find_abilities
from node_agent.engine.reply import THINK
from node_agent.engine.tool_formats import ToolFormat
from node_agent.engine.turns import (
    Turn,
    plain_turns,
    tool_objects,
    turns_in_words,
    turns_with_calls,
)

# For a model without a template, as llama.cpp does it: ChatML, which most models have at least
# seen.
CHATML = """\
{%- for message in messages -%}
{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}
{%- endfor -%}
{{ '<|im_start|>assistant\\n' }}"""

_TIME_LIMIT_S = 2.0  # of CPU; an honest template takes milliseconds, for 5 MB some 100 of them
# For each of six tries of a few words, at the load: nothing else computes then, as CPU time is that
# of all threads.
_TRY_LIMIT_S = 0.5
_TEXT_CHARACTERS_MAX = 32 * 1024 * 1024  # twice the largest prompt that reaches an engine
_REASON_CHARACTERS_MAX = 200
_WIDE = re.compile(r"[0-9]{5}|[*]")  # in a format: a width of five digits, or one from elsewhere


class TemplateOverrun(Exception):
    """A template took too long or wrote too much."""


class ChatTemplate:
    """A compiled template. ``source`` is Jinja; None takes ChatML.

    Make and use it in the main thread: time limits are signals.
    """

    def __init__(
        self, source: str | None, *, bos: str, eos: str, time_limit_s: float = _TIME_LIMIT_S
    ) -> None:
        self._broken = ""
        self._source = CHATML if source is None else source
        self._time_limit_s = time_limit_s
        environment = _Sandbox(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=["jinja2.ext.loopcontrols", _GenerationBlock],
        )
        environment.filters["tojson"] = _to_json
        environment.globals |= {
            "raise_exception": _raise_exception,
            "strftime_now": _strftime_now,
            "bos_token": bos,
            "eos_token": eos,
            # Set, because templates ask `is not none` where transformers passes None.
            "documents": None,
        }
        try:
            self._template = environment.from_string(self._source)
        except Exception as failure:  # the parser meets text from anywhere; RecursionError is usual
            self._broken = _reason(failure)
        self._able = find_abilities(self._source, self._try)

    @property
    def tool_format(self) -> ToolFormat:
        """How the model is asked to write calls."""
        return self._able.format

    @property
    def speaks_of_thoughts(self) -> bool:
        return THINK in self._source

    def render(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> str:
        """Return the prompt that ends where the assistant begins to speak.

        Raises:
            InvalidRequest: the template is broken, refuses the messages or oversteps its limits;
                or as ``turns_with_calls`` and ``tool_objects``.
        """
        if self._broken:
            raise InvalidRequest(
                f"the model's chat template is broken: {self._broken}",
                hint="use another model file",
            )
        turns, shown = self._turns(messages, tools)
        try:
            return self._render(turns, shown, self._time_limit_s)
        except Exception as failure:  # a template may fail in any way an expression can
            raise InvalidRequest(
                f"the model's chat template refuses the messages: {_reason(failure, self._source)}",
                hint="change the roles or their order, or use another model",
            ) from None

    def _turns(
        self, messages: Sequence[Message], tools: Sequence[Tool]
    ) -> tuple[list[Turn], list[dict[str, Any]] | None]:
        if not tools and not any(each.tool_calls or each.tool_call_id for each in messages):
            return plain_turns(messages), None
        able = self._able
        if able.shape is None:
            return turns_in_words(messages, tools, system=able.system), None
        return turns_with_calls(messages, able.shape), tool_objects(tools) or None

    def _try(self, turns: Sequence[Turn], tools: Sequence[dict[str, Any]] | None) -> str:
        return self._render(turns, tools, min(_TRY_LIMIT_S, self._time_limit_s))

    def _render(
        self, turns: Sequence[Turn], tools: Sequence[dict[str, Any]] | None, limit_s: float
    ) -> str:
        with _time_limit(limit_s):
            return _joined(
                self._template.generate(messages=turns, tools=tools, add_generation_prompt=True)
            )


def _joined(parts: Iterator[str]) -> str:
    kept, characters = [], 0
    for part in parts:
        characters += len(part)
        if characters > _TEXT_CHARACTERS_MAX:
            raise TemplateOverrun("it wrote more than any context holds")
        kept.append(part)
    return "".join(kept)


@contextmanager
def _time_limit(limit_s: float) -> Iterator[None]:
    """Raise TemplateOverrun in the block once this thread has computed for ``limit_s``."""
    try:
        with HERE.time_limit(limit_s):
            yield
    except OutOfTime:
        raise TemplateOverrun(f"it ran longer than {limit_s:g} s") from None


def _reason(failure: Exception, source: str | None = None) -> str:
    """Return what a person can use of ``failure``: words, else its kind.

    With a template's ``source``, for a failure on messages: words may then hold a part of a
    prompt in any form, and prompts belong in no log, so only those that stand in it are told.
    """
    if not isinstance(failure, TemplateError | TemplateOverrun):
        return type(failure).__name__
    words = str(failure)
    if source is not None and not isinstance(failure, TemplateOverrun) and words not in source:
        return type(failure).__name__
    return " ".join(words.split())[:_REASON_CHARACTERS_MAX]


def _raise_exception(reason: str) -> NoReturn:
    raise TemplateError(reason)


def _strftime_now(layout: str) -> str:
    return datetime.now().strftime(layout)


def _to_json(
    value: object,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """As transformers has it; Jinja's own escapes for HTML."""
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )


class _Sandbox(ImmutableSandboxedEnvironment):
    """No single operation may take a time that no limit can interrupt."""

    intercepted_binops = frozenset({"**", "*", "%"})

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Raises TemplateOverrun: the result would be absurdly large."""
        numbers = all(isinstance(each, int | float) for each in (left, right))
        if operator == "**" and not (numbers and abs(left) <= 1e6 and abs(right) <= 16):
            raise TemplateOverrun("it raises to a power that is too high")
        if operator == "*" and not numbers:
            times = right if isinstance(right, int) else left
            size = len(left) if hasattr(left, "__len__") else len(right)
            if not isinstance(times, int) or times * size > _TEXT_CHARACTERS_MAX:
                raise TemplateOverrun("it repeats something too often")
        if operator == "%" and isinstance(left, str) and _WIDE.search(left):
            raise TemplateOverrun("it fills a text to an absurd width")
        return super().call_binop(context, operator, left, right)


class _GenerationBlock(Extension):
    """``{% generation %}`` marks what training learns from; rendering passes through it."""

    tags = {"generation"}  # noqa: RUF012 - Jinja's own declaration

    def parse(self, parser: Parser) -> Node | list[Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)
