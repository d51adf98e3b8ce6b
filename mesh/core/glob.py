"""Patterns of names with ``*`` and ``?``, matched without going back more than once.

No regular expressions: an operator's pattern must not be able to take exponential time. This takes
at most pattern times text steps, and usually one for each letter.
"""

from functools import lru_cache

PATTERN_CHARACTERS_MAX = 256


def is_pattern(text: str) -> bool:
    """Does ``text`` stand for more than itself?"""
    return "*" in text or "?" in text


@lru_cache(maxsize=4096)  # names of models, keys and teams come again and again
def matches(pattern: str, text: str) -> bool:
    """Is ``text`` as ``pattern`` says: ``*`` is any text, ``?`` any letter, the rest is itself?"""
    at, place, star, resume = 0, 0, -1, 0
    while at < len(text):
        letter = pattern[place] if place < len(pattern) else ""
        if letter == "*":
            star, resume, place = place, at, place + 1
        elif letter in ("?", text[at]) and letter:
            at, place = at + 1, place + 1
        elif star >= 0:  # let the last star take one letter more
            resume += 1
            at, place = resume, star + 1
        else:
            return False
    return not pattern[place:].strip("*")
