"""Tells apart what a model writes: thoughts, calls of tools, and what it says.

Text comes as tokens cut it. What may be the beginning of a mark is held back until more decides,
so where the text is cut changes nothing; an answer that another node continues is read again from
its beginning, and comes out the same. Nothing the model said is lost: what begins like a call and
is none, as its JSON is broken or nobody knows the tool, is given back as text, unchanged.

1. Thoughts stand at the beginning, between <think> and </think>; many templates write the first of
   these into the prompt. Space around them belongs to nobody.
2. A call begins with its format's opening, anywhere, or without one where it is the whole answer.
3. Space before a call at the beginning, between calls, and after the last is not said.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b

from mesh.core.chat import ToolCall
from node_agent.engine.answer_text import overlap
from node_agent.engine.json_end import JsonEnd
from node_agent.engine.tool_formats import ToolFormat
from node_agent.engine.written_calls import WrittenCall, written_calls

THINK, THOUGHT = "<think>", "</think>"

# Space that is held until it is known whether anything is said after it: models write two or three
# new lines. More of it is text.
_SPACE_CHARACTERS_MAX = 64
_HEAD_CHARACTERS_MAX = 256  # between an opening and its JSON; a name and an id have 64 each
_SPACE = re.compile(r"[ \t\r\n]*")
_ID_CHARACTERS = 9  # exactly as many letters and digits as templates of Mistral's models take
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Reading:
    """How an answer is to be read."""

    format: ToolFormat | None = None  # of calls; None: there are none
    tools: frozenset[str] = frozenset()  # the names that may be called
    thoughts: bool = False  # whether it may begin with some
    thinking: bool = False  # whether the prompt has begun them
    ids_from: bytes = b""  # ids of calls are made of it; the same answer gets the same ones


PLAIN = Reading()  # every character is said


@dataclass(frozen=True, slots=True)
class Said:
    """What became clear."""

    text: str = ""
    reasoning: str = ""
    calls: tuple[ToolCall, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.text or self.reasoning or self.calls)

    def then(self, later: "Said") -> "Said":
        return Said(
            self.text + later.text,
            self.reasoning + later.reasoning,
            self.calls + later.calls,
        )


@dataclass(slots=True)
class _Parts:
    """What became clear, as it is put together."""

    text: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    calls: list[WrittenCall] = field(default_factory=list)


class Reply:
    """Reads one answer."""

    def __init__(self, reading: Reading) -> None:
        self.calls = 0  # that came out so far
        self._reading = reading
        self._format = reading.format
        self._opening = "" if reading.format is None else reading.format.opening
        self._parts = _Parts()
        self._held = ""  # undecided; the state reads it again once there is more
        self._opened = ""  # what a call has so far, but for its JSON
        self._name: str | None = None  # of that call, if it stands before the JSON
        self._json = JsonEnd()
        self._alone: tuple[WrittenCall, ...] = ()  # stand only if nothing follows
        self._first = True  # nothing was said yet, nor thought
        self._state: _State = Reply._say
        if reading.thinking:
            self._state = Reply._begin_thought
        elif reading.format is not None or reading.thoughts:
            self._state = Reply._pause

    @property
    def thinking(self) -> bool:
        return self._state in (Reply._think, Reply._begin_thought)

    def feed(self, text: str) -> Said:
        """Take more of the answer; return what is clear now."""
        rest, self._held = self._held + text, ""
        while rest:
            rest = self._state(self, rest)
        return self._told()

    def finish(self, text: str = "") -> Said:
        """Take the last of the answer; return with it what was held, for what it is."""
        before = self.feed(text)
        held, self._held = self._held, ""
        parts = self._parts
        if self._alone:
            parts.calls += self._alone
        elif self._state == Reply._think:
            parts.reasoning.append(held)
        elif self._state in (Reply._head, Reply._body):
            parts.text.append(self._opened + self._json.text + held)
        elif self._state == Reply._say or self._first or _space_of(held) != len(held):
            parts.text.append(held)
        self._state = Reply._say
        return before.then(self._told())

    # The states. Each takes what there is, and returns what it leaves to the next one. Having
    # returned nothing, it may have put something aside in ``_held``.

    def _begin_thought(self, rest: str) -> str:
        """Space before the first thought."""
        self._first = False
        rest = rest[_space_of(rest) :]
        if rest:
            self._state = Reply._think
        return rest

    def _think(self, rest: str) -> str:
        before, mark, after = rest.partition(THOUGHT)
        if mark:
            self._parts.reasoning.append(before)
            self._state = Reply._after_thought
            return after
        self._parts.reasoning.append(self._hold_beginning(rest, THOUGHT))
        return ""

    def _after_thought(self, rest: str) -> str:
        """Space between thoughts and what is said."""
        rest = rest[_space_of(rest) :]
        if rest:
            self._state = Reply._pause
        return rest

    def _pause(self, rest: str) -> str:
        """At the beginning, after thoughts or a call: space, then a mark, or something is said."""
        space = _space_of(rest)
        word = rest[space:]
        thoughts = self._first and self._reading.thoughts
        if space > _SPACE_CHARACTERS_MAX:
            return self._speak(rest)
        marks = (*((THINK,) if thoughts else ()), self._opening)
        if not word or any(mark.startswith(word) and mark != word for mark in marks):
            self._held = rest
            return ""
        if thoughts and word.startswith(THINK):
            self._state = Reply._begin_thought
            return word[len(THINK) :]
        if self._opening and word.startswith(self._opening):
            return self._open(rest[: space + len(self._opening)], word[len(self._opening) :])
        if self._format is not None and self._format.bare and word[0] == "{":
            return self._open(rest[:space], word)
        return self._speak(rest)

    def _say(self, rest: str) -> str:
        before, mark, after = rest.partition(self._opening) if self._opening else (rest, "", "")
        if mark:
            self._parts.text.append(before)
            return self._open(mark, after)
        self._parts.text.append(self._hold_beginning(rest, self._opening))
        return ""

    def _head(self, rest: str) -> str:
        """After an opening, before its JSON."""
        assert self._format is not None
        head = rest[:_HEAD_CHARACTERS_MAX]
        if found := self._format.head.match(head):
            self._name = found.groupdict().get("name")
            self._opened += found[0]
            self._state = Reply._body
            return rest[found.end() :]
        if len(head) < _HEAD_CHARACTERS_MAX and self._format.head_so_far.fullmatch(head):
            self._held = rest
            return ""
        return self._give_up(rest)

    def _body(self, rest: str) -> str:
        """Within the JSON of a call, or of several."""
        assert self._format is not None
        rest = self._json.feed(rest)
        if not self._json.complete:
            return ""
        calls = written_calls(self._json.text, self._name)
        if not calls or not all(call.name in self._reading.tools for call in calls):
            return self._give_up(rest)
        if self._format.alone:
            self._alone, self._state = calls, Reply._after_all
            return rest
        self._parts.calls += calls
        self._state = Reply._after
        return rest

    def _after(self, rest: str) -> str:
        """After a call: its closing, if it has one."""
        assert self._format is not None
        space, closing = _space_of(rest), self._format.closing
        word = rest[space:]
        if space <= _SPACE_CHARACTERS_MAX and closing.startswith(word) and word != closing:
            self._held = rest
            return ""
        self._state = Reply._pause
        return word[len(closing) :] if closing and word.startswith(closing) else rest

    def _after_all(self, rest: str) -> str:
        """After a call that nothing may follow. If anything does, it was none."""
        if _space_of(rest) == len(rest):
            self._held = rest
            return ""
        self._alone = ()
        return self._give_up(rest)

    def _open(self, opened: str, rest: str) -> str:
        self._first = False
        self._opened, self._json = opened, JsonEnd()
        self._state = Reply._head
        return rest

    def _give_up(self, rest: str) -> str:
        """It was no call, so all of it was said."""
        self._parts.text.append(self._opened + self._json.text)
        return self._speak(rest)

    def _speak(self, rest: str) -> str:
        self._first = False
        self._state = Reply._say
        return rest

    def _hold_beginning(self, rest: str, mark: str) -> str:
        """Hold back an ending that may become ``mark``; return what is before it."""
        clear = len(rest) - overlap(rest, mark)
        self._held = rest[clear:]
        return rest[:clear]

    def _told(self) -> Said:
        parts, self._parts = self._parts, _Parts()
        calls = [
            ToolCall(_id(self._reading.ids_from, number), call.name, call.arguments_json)
            for number, call in enumerate(parts.calls, self.calls)
        ]
        self.calls += len(calls)
        return Said("".join(parts.text), "".join(parts.reasoning), tuple(calls))


_State = Callable[[Reply, str], str]


def _space_of(text: str) -> int:
    """Return how much space ``text`` begins with."""
    found = _SPACE.match(text)
    return found.end() if found else 0


def _id(ids_from: bytes, number: int) -> str:
    """Return the id of an answer's call: another one for each call of each turn."""
    digest = blake2b(b"%d " % number + ids_from, digest_size=8).digest()
    rest, letters = int.from_bytes(digest), ""
    for _ in range(_ID_CHARACTERS):
        rest, letter = divmod(rest, len(_ALPHABET))
        letters += _ALPHABET[letter]
    return letters
