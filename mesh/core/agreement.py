"""Do two answers to one prompt say the same? By their words alone: no model is asked.

Short answers are the same or they are not. Of longer ones the shared words are counted, as question
answering is scored (Rajpurkar et al., EMNLP 2016, arXiv:1606.05250); most right answers to one
prompt share more than half of their words, most others less than a fifth, and between the two
nothing is said.
"""

import unicodedata
from collections import Counter

SHORT_WORDS_MAX = 8  # a name, a number, a line: one other word makes it another answer
AGREES_FROM, DIFFERS_TO = 0.6, 0.2  # F1 of the words of longer answers
WORDS_LOOKED_AT_MAX = 4096


def agreement(one: str, other: str) -> float | None:
    """Return 1.0 if the answers agree, 0.0 if they differ, None where words do not tell."""
    left, right = words_of(one), words_of(other)
    if not left or not right:
        return None
    if min(len(left), len(right)) <= SHORT_WORDS_MAX:
        return float(left == right) if max(len(left), len(right)) <= SHORT_WORDS_MAX else None
    overlap = shared_words(left, right)
    if overlap >= AGREES_FROM:
        return 1.0
    return 0.0 if overlap <= DIFFERS_TO else None


def words_of(text: str) -> list[str]:
    """Return the words of an answer in their order, without case and marks around them."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    words = (word.strip(_MARKS) for word in folded.split()[:WORDS_LOOKED_AT_MAX])
    return [word for word in words if word]


def shared_words(left: list[str], right: list[str]) -> float:
    """Return the F1 of the words that both have, in [0, 1]."""
    shared = sum((Counter(left) & Counter(right)).values())
    return 2.0 * shared / (len(left) + len(right))


_MARKS = ".,;:!?\"'`*_()[]{}<>"
