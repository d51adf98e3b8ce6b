"""Finds out what a chat template can show, by letting it show something.

Its source would tell less: templates mention tools only to refuse them, or know tools but not the
calls of earlier turns.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from mesh.core.chat import Message, Role, Tool, ToolCall
from node_agent.engine.tool_formats import HERMES, ToolFormat, format_of
from node_agent.engine.turns import (
    CallShape,
    Turn,
    plain_turns,
    tool_objects,
    turns_with_calls,
)

# Renders turns and tool objects; raises whatever a template does.
RawRender = Callable[[Sequence[Turn], Sequence[dict[str, Any]] | None], str]

_TOOL = Tool("shown_function", "Shows something.", "")
_ASKED = Message(Role.USER, "Show it.")
_CALLED = Message(
    Role.ASSISTANT, "", (ToolCall("Shown1234", "shown_function", '{"shown_key": "a"}'),)
)
_RESULT = Message(Role.TOOL, "shown result", (), "Shown1234", "shown_function")


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a template can show. What it can't is told in words instead."""

    format: ToolFormat  # in which calls are to be written
    shape: CallShape | None  # of calls and results; None: tools are told in words altogether
    system: bool  # whether it takes system messages


def find_abilities(source: str, render: RawRender) -> Abilities:
    """Try a template.

    One whose way to write calls is not known counts as knowing no tools: asked in its own terms,
    its model would answer in a way that nobody here reads.
    """
    shown = _shows(render, plain_turns([Message(Role.SYSTEM, "shown system"), _ASKED]))
    system = "shown system" in shown
    own = format_of(source)
    tools = tool_objects([_TOOL])
    if own is None or _TOOL.name not in _shows(render, plain_turns([_ASKED]), tools):
        return Abilities(HERMES, None, system)
    for content_none, as_text in product((False, True), repeat=2):
        shape = CallShape(as_text, content_none, own.short_ids)
        shown = _shows(render, turns_with_calls([_ASKED, _CALLED, _RESULT], shape), tools)
        # A text that was escaped once more has a backslash before the second quote.
        if '"shown_key":' in shown and "shown result" in shown:
            return Abilities(own, shape, system)
    return Abilities(HERMES, None, system)


def _shows(
    render: RawRender, turns: Sequence[Turn], tools: Sequence[dict[str, Any]] | None = None
) -> str:
    """Return "" where the template refuses: it may do so in any way an expression can fail."""
    try:
        return render(turns, tools)
    except Exception:
        return ""
