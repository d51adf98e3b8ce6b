"""Finds where a JSON object or array ends, as its text comes in."""

import re

_MARKS = re.compile(r'[\[\]{}"]')
_IN_STRING = re.compile(r'["\\]')


class JsonEnd:
    """Begins at the first bracket. Whether it is JSON at all shows once it is parsed."""

    def __init__(self) -> None:
        self.complete = False
        self._parts: list[str] = []
        self._depth = 0
        self._string = False
        self._escaped = False  # the next character stands for itself

    @property
    def text(self) -> str:
        """All that belongs to it so far."""
        return "".join(self._parts)

    def feed(self, text: str) -> str:
        """Take more text; return what comes after the end."""
        at = 0
        while not self.complete and at < len(text):
            at = self._step(text, at)
        self._parts.append(text[:at])
        return text[at:]

    def _step(self, text: str, at: int) -> int:
        """Go on to just behind the next mark; return where that is."""
        if self._escaped:
            self._escaped = False
            return at + 1
        found = (_IN_STRING if self._string else _MARKS).search(text, at)
        if found is None:
            return len(text)
        match found[0]:
            case "\\":
                self._escaped = True
            case '"':
                self._string = not self._string
            case "{" | "[":
                self._depth += 1
            case _:
                self._depth -= 1
                self.complete = self._depth <= 0
        return found.end()
