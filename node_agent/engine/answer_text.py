"""Turns the bytes of tokens into text that may be shown, however tokens cut it.

Two things are held back until the next token decides: a character whose bytes are not all there,
and the beginning of what may become a stop string. The result does not depend on where the tokens
cut the text, so it is the same for an answer that another node continues.
"""

import codecs
from collections.abc import Sequence


class AnswerText:
    """The text of one answer. ``stopped`` turns true when a stop string is complete.

    The stop string that completes first wins, and of those that complete together the one that
    began first; neither it nor anything after it is returned.
    """

    def __init__(self, stop: Sequence[str]) -> None:
        self.stopped = False
        self._stop = tuple(stop)
        self._held = ""
        # A model may emit bytes that are no UTF-8 at all: they become U+FFFD rather than an error.
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def feed(self, piece: bytes) -> str:
        """Return what may be shown now that a token with these bytes was drawn."""
        return self._take(self._decoder.decode(piece))

    def finish(self) -> str:
        """Return what was held back, as no token follows; half a character becomes U+FFFD."""
        text = self._take(self._decoder.decode(b"", final=True))
        held, self._held = self._held, ""
        return text + held

    def _take(self, text: str) -> str:
        if self.stopped:
            return ""
        text = self._held + text
        found = [
            (start + len(stop), start) for stop in self._stop if (start := text.find(stop)) >= 0
        ]
        if found:
            self.stopped = True
            self._held = ""
            return text[: min(found)[1]]
        shown = len(text) - self._undecided(text)
        self._held = text[shown:]
        return text[:shown]

    def _undecided(self, text: str) -> int:
        """Return the length of the longest ending of ``text`` that begins some stop string."""
        return max((overlap(text, stop) for stop in self._stop), default=0)


def overlap(text: str, stop: str) -> int:
    """Return the length of the longest ending of ``text`` that begins ``stop``, but for all."""
    longest = min(len(text), len(stop) - 1)
    return next((size for size in range(longest, 0, -1) if text.endswith(stop[:size])), 0)
