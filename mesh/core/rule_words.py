"""Which rules' words a prompt has: looked for at the edge, where the prompt is.

A word is found as a whole word, in any case: ``secret`` is not in ``secretary``. Several words with
spaces between are found one after the other, whatever stands between them but letters and digits.
A word with other signs in it, such as ``c++``, is found as it is written, and so is one in a script
that writes no spaces between words.

The work is bounded whatever the prompt and the list are: so many characters are looked at, the
newest ones, each a fixed number of times; and an operator's words are no regular expressions.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final
from unicodedata import normalize

# Of a prompt, the newest: some 15 pages. Only where a rule has words at all, and once a request.
LOOKED_AT_CHARACTERS: Final = 32_768
WORD_CHARACTERS_MAX: Final = 80
WORDS_MAX: Final = 4096  # of all rules: those of one word cost nothing more
# Of all rules: those of several words, or with other signs. Each is one search of the whole text.
PHRASES_MAX: Final = 128
# Of one word that turn out to be parts of longer ones: a text that holds more is made to take time,
# and the word counts as found.
OCCURRENCES_MAX: Final = 64

_WORD: Final = re.compile(r"\w+")
_BETWEEN: Final = {code: " " for code in range(128) if not _WORD.match(chr(code))}
# Scripts that write words without spaces: from Thai and Lao, Khmer and Burmese, to Japanese and
# Chinese. A word that has one of their letters is looked for anywhere.
_UNSPACED: Final = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]"
)
NO_MATCH: Final[frozenset[str]] = frozenset()


class Words:
    """The words of all rules, made ready."""

    def __init__(self, words: Mapping[str, Iterable[str]]) -> None:
        """Args:
            words: name of a rule -> those of its words of which any suffices.

        Raises:
            ValueError: there are too many, or one has no letter.
        """
        self._of_one: dict[str, set[str]] = {}  # word -> rules
        self._phrases: dict[str, set[str]] = {}  # " some words " -> rules
        self._as_written: dict[str, set[str]] = {}
        for rule, each in words.items():
            for word in each:
                kind, form = self._kind_of(word)
                kind.setdefault(form, set()).add(rule)
        searched = len(self._phrases) + len(self._as_written)
        if len(self._of_one) + searched > WORDS_MAX or searched > PHRASES_MAX:
            raise ValueError(
                f"rules have {len(self._of_one)} single words and {searched} of several words or "
                f"with other signs in them; at most {WORDS_MAX} and {PHRASES_MAX} are looked for"
            )

    def __bool__(self) -> bool:
        return bool(self._of_one or self._phrases or self._as_written)

    def matched(self, prompt: str) -> frozenset[str]:
        """Return the names of the rules any of whose words is in ``prompt``.

        Args:
            prompt: with its newest part at the end; of a longer one only that is looked at.
        """
        if not self:
            return NO_MATCH
        text = _form(_newest(_form(_newest(prompt))))
        found: set[str] = set()
        tokens = _tokens(text)
        for word in self._of_one.keys() & set(tokens):
            found |= self._of_one[word]
        if self._phrases:
            spaced = f" {' '.join(tokens)} "
            for phrase, rules in self._phrases.items():
                if not rules <= found and phrase in spaced:
                    found |= rules
        for word, rules in self._as_written.items():
            if not rules <= found and _has(text, word):
                found |= rules
        return frozenset(found)

    def _kind_of(self, word: str) -> tuple[dict[str, set[str]], str]:
        """Return where a word is kept, and how it is written there."""
        form = _form(word).strip()
        tokens = _WORD.findall(form)
        if not tokens or len(word) > WORD_CHARACTERS_MAX:
            raise ValueError(
                f"{word[:40]!r} is no word: use a letter or digit, and at most "
                f"{WORD_CHARACTERS_MAX} characters"
            )
        if _UNSPACED.search(form) or " ".join(form.split()) != " ".join(tokens):
            return self._as_written, form
        if len(tokens) > 1:
            return self._phrases, f" {' '.join(tokens)} "
        return self._of_one, form


def _tokens(text: str) -> list[str]:
    """Split into words; ten times as fast as by the expression where there is ASCII alone."""
    return text.translate(_BETWEEN).split() if text.isascii() else _WORD.findall(text)


def _form(text: str) -> str:
    """Write alike what reads alike: letters of one form and one case."""
    return text.lower() if text.isascii() else normalize("NFKC", text).casefold()


def _newest(text: str) -> str:
    """Return the end of a long text, from where a word begins."""
    if len(text) <= LOOKED_AT_CHARACTERS:
        return text
    end = text[-LOOKED_AT_CHARACTERS:]
    cut = _WORD.match(end)  # perhaps the rest of a longer word
    return end[cut.end() :] if cut is not None and not _UNSPACED.match(end) else end


def _has(text: str, word: str) -> bool:
    """Is ``word`` in ``text`` as it is written, and not a part of a longer word?"""
    at = -1
    for _ in range(OCCURRENCES_MAX):
        at = text.find(word, at + 1)
        if at < 0:
            return False
        before, after = text[at - 1 : at], text[at + len(word) : at + len(word) + 1]
        if not (_joined(before, word[0]) or _joined(word[-1], after)):
            return True
    return True


def _joined(left: str, right: str) -> bool:
    """Do two letters, one after the other, belong to one word?"""
    if not left or not right or _UNSPACED.match(left) or _UNSPACED.match(right):
        return False
    return _WORD.match(left) is not None and _WORD.match(right) is not None
