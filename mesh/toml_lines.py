"""On which line of a TOML file each key stands: ``tomllib`` does not tell, and people ask.

For a text that ``tomllib`` has read without an error, so that this walk need not know what is
valid: only where strings, comments and brackets end.
"""

import tomllib
from typing import Final

TomlPath = tuple[str | int, ...]  # such as ("rules", 0, "when", "team")

_OPENING, _CLOSING = "[{", "]}"
_QUOTES: Final = ("'''", '"""', "'", '"')  # the long ones first


def lines_of(text: str) -> dict[TomlPath, int]:
    """Return the line, from 1, of each table and of each key outside inline tables."""
    return _Walk(text).walk()


def line_of(path: TomlPath, lines: dict[TomlPath, int]) -> int:
    """Return the line of what ``path`` leads to, or of the nearest thing around it; 1 if none."""
    for length in range(len(path), 0, -1):
        if (line := lines.get(path[:length])) is not None:
            return line
    return 1


class _Walk:
    """One pass over the text, a statement at a time."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._counted_at, self._line = 0, 1
        self._lines: dict[TomlPath, int] = {}
        self._last: dict[tuple[str, ...], int] = {}  # array of tables -> index of its newest one

    def walk(self) -> dict[TomlPath, int]:
        table: TomlPath = ()
        while self._skip_to_statement():
            line = self._line_here()
            if self._text[self._at] == "[":
                table = self._header()
                self._lines.setdefault(table, line)
            else:
                keys = self._keys(until="=")
                self._at += 1
                for length in range(1, len(keys) + 1):
                    self._lines.setdefault((*table, *keys[:length]), line)
                self._skip_value()
        return self._lines

    def _skip_to_statement(self) -> bool:
        text = self._text
        while self._at < len(text):
            if text[self._at] == "#":
                self._at = self._end_of_line()
            elif text[self._at].isspace():
                self._at += 1
            else:
                return True
        return False

    def _header(self) -> TomlPath:
        """Read ``[a.b]`` or ``[[a.b]]``, and return where what follows belongs."""
        of_array = self._text.startswith("[[", self._at)
        self._at += 2 if of_array else 1
        keys = self._keys(until="]")
        self._at += 2 if of_array else 1
        if of_array:
            index = self._last.get(keys, -1) + 1
            for inner in [each for each in self._last if each[: len(keys)] == keys]:
                del self._last[inner]  # arrays within the table before
            self._last[keys] = index
        path: list[str | int] = []
        for length, key in enumerate(keys, start=1):
            path.append(key)
            if (index := self._last.get(keys[:length], -1)) >= 0:
                path.append(index)
        return tuple(path)

    def _keys(self, until: str) -> tuple[str, ...]:
        """Read dotted keys, bare or quoted, up to the sign that ends them."""
        start = self._at
        while self._text[self._at] != until:
            self._at = self._end_of_string() or self._at + 1
        found: object = tomllib.loads(f"{self._text[start : self._at]} = 0")
        keys: list[str] = []
        while isinstance(found, dict):
            ((key, found),) = found.items()
            keys.append(key)
        return tuple(keys)

    def _skip_value(self) -> None:
        """Go to the end of the line on which the value ends."""
        depth = 0
        while self._at < len(self._text):
            letter = self._text[self._at]
            if letter == "#":
                self._at = self._end_of_line()
                continue
            if letter == "\n" and depth == 0:
                return
            depth += (letter in _OPENING) - (letter in _CLOSING)
            self._at = self._end_of_string() or self._at + 1

    def _end_of_string(self) -> int:
        """Return where the string that begins here ends; 0 if none begins."""
        text, at = self._text, self._at
        quote = next((each for each in _QUOTES if text.startswith(each, at)), "")
        if not quote:
            return 0
        at += len(quote)
        while not text.startswith(quote, at):
            at += 2 if quote[0] == '"' and text[at] == "\\" else 1
        at += len(quote)
        while len(quote) == 3 and text.startswith(quote[0], at):  # up to two more belong to it
            at += 1
        return at

    def _end_of_line(self) -> int:
        end = self._text.find("\n", self._at)
        return len(self._text) if end < 0 else end

    def _line_here(self) -> int:
        self._line += self._text.count("\n", self._counted_at, self._at)
        self._counted_at = self._at
        return self._line
