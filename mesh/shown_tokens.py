"""Which tokens of an answer its text shows.

Log-probabilities come with their tokens, but an engine holds text back: half a character until it
is whole, what may become a stop string until that is decided, and the stop string for good. Who
reads an answer expects those of the text that is there: as OpenAI's API does, not one more.
"""

import codecs
from collections import deque
from collections.abc import Iterable

from mesh.core.generation import TokenLogprob


class ShownTokens:
    """The tokens of one answer, each let go once the text shows some of it."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[int, TokenLogprob]] = deque()
        self._characters = 0  # of all tokens so far
        self._shown = 0  # characters of them in the text so far
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def take(self, text: str, told: Iterable[TokenLogprob]) -> list[TokenLogprob]:
        """Add the answer's next ``text`` and tokens; return those that it now shows, in order.

        What is never returned is no part of the text: a stop string, or the rest of it.
        """
        for each in told:
            self._waiting.append((self._characters, each))
            self._characters += len(self._decoder.decode(each.text))
        self._shown += len(text)
        shown = []
        while self._waiting and self._shows(*self._waiting[0]):
            shown.append(self._waiting.popleft()[1])
        return shown

    def _shows(self, characters_before: int, told: TokenLogprob) -> bool:
        if told.text:
            return characters_before < self._shown
        return characters_before <= self._shown  # a control token, or one whose text is unknown
