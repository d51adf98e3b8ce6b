"""What the scorer sees of a prompt: its shape in numbers, its words and pairs of words hashed.

Pure Python in tens of microseconds: every step that runs over the text is one call into C. However
long a prompt is, only its beginning and end are read, so the work is bounded.
"""

import re
from dataclasses import dataclass
from itertools import pairwise
from math import log1p
from zlib import crc32

HEAD_CHARACTERS, TAIL_CHARACTERS = 6144, 2048  # the task stands at either end; documents between
DOMAIN_CHARACTERS_MAX = 200
BUCKETS = 8192  # for words, and as many for pairs: a head is then 16 KB, and few common words meet
DOMAIN_BUCKETS = 4096  # of domains there are few, and two that met would be one

# Letters become lower case, digits 0, so that numbers differ by their length alone.
_LOWER = bytes(c + 32 if 65 <= c <= 90 else 48 if 48 <= c <= 57 else c for c in range(256))
# Whatever is no letter, digit or part of a character beyond ASCII parts words.
_SPACED = bytes(c if 97 <= c <= 122 or c == 48 or c >= 128 else 32 for c in range(256))
_OPTION = re.compile(rb"\n *\(?[a-z][.):]")
# Scripts that are written without spaces: each character is a word.
_UNSPACED = re.compile(
    r"([\u0e00-\u0eff\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff])"
)

SURFACE_NAMES = (
    *("length", "length_squared", "words", "word_length", "distinct_words"),
    *("digits", "numbers", "numbers_squared", "long_numbers", "beyond_ascii"),
    *("signs_share", "signs", "dollars", "money", "backslashes", "percents"),
    *("lines", "options", "has_options", "option_length", "option_digits"),
    *("task_length", "task_length_squared", "question_marks", "no_question_mark"),
    *("code", "parentheses", "quotes", "sentences", "commas", "colons", "blank"),
)


@dataclass(frozen=True, slots=True)
class Features:
    """A prompt as the scorer sees it; nothing of the prompt can be read from it.

    Attributes:
        surface: in the order of ``SURFACE_NAMES``, each about 0 to 3.
        words, pairs: distinct buckets, in [0, BUCKETS).
        domain: distinct buckets, in [0, DOMAIN_BUCKETS): of the whole name, and of each word of it.
    """

    surface: tuple[float, ...]
    words: tuple[int, ...]
    pairs: tuple[int, ...]
    domain: tuple[int, ...] = ()


def prompt_features(text: str, domain: str = "") -> Features:
    """Return the features of a prompt, of a domain if one is known."""
    if len(text) > HEAD_CHARACTERS + TAIL_CHARACTERS:
        text = f"{text[:HEAD_CHARACTERS]}\n{text[-TAIL_CHARACTERS:]}"
    beyond_ascii = 0.0
    if text.isascii():
        raw = text.encode()
    else:
        raw = " ".join(_UNSPACED.split(text.lower())).encode("utf-8", "replace")
        beyond_ascii = min(1.0, len(raw) / len(text) - 1.0)
    lower = raw.translate(_LOWER)
    spaced = lower.translate(_SPACED)
    hashed = [crc32(word) % BUCKETS for word in spaced.split()]
    distinct = set(hashed)
    pairs = {(one * 31 + two) % BUCKETS for one, two in pairwise(hashed)}
    return Features(
        _surface(lower, spaced, len(hashed), len(distinct), beyond_ascii),
        tuple(distinct),
        tuple(pairs),
        domain_buckets(domain) if domain else (),
    )


def domain_buckets(domain: str) -> tuple[int, ...]:
    """Return the buckets of a domain: ``college_physics`` shares one with ``physics``."""
    name = domain[:DOMAIN_CHARACTERS_MAX].lower().encode("utf-8", "replace")
    words = name.translate(_SPACED).split()
    every = {crc32(b" ".join(words), 1), *(crc32(word, 2) for word in words)}
    return tuple(sorted({each % DOMAIN_BUCKETS for each in every}))


def _surface(
    lower: bytes, spaced: bytes, words: int, distinct: int, beyond_ascii: float
) -> tuple[float, ...]:
    count = lower.count
    size, many = len(lower) + 1, words + 1
    numbers = spaced.count(b" 0")
    dollars, backslashes = count(b"$"), count(b"\\")
    signs = count(b"=") + count(b"+") + count(b"*") + count(b"/") + count(b"^") + count(b"<")
    questions = count(b"?")
    options, option_length, option_digits, task_size = _options(lower)
    length, numerous, task = log1p(size) / 4, log1p(numbers) / 2, log1p(task_size) / 4
    return (
        length,
        length * length,
        log1p(many) / 3,
        (len(spaced) - spaced.count(b" ")) / many / 5,
        distinct / many,
        count(b"0") / size * 5,
        numerous,
        numerous * numerous,
        count(b"000") / (numbers + 1),
        beyond_ascii,
        signs / size * 20,
        log1p(signs) / 2,
        log1p(dollars) / 2,
        0.0 if backslashes else min(dollars, 3) / 3,
        log1p(backslashes) / 2,
        min(count(b"%"), 3) / 2,
        log1p(count(b"\n")) / 2,
        options / 10,
        1.0 if options else 0.0,
        option_length,
        option_digits,
        task,
        task * task,
        min(questions, 3) / 2,
        0.0 if questions else 1.0,
        log1p(count(b"{") + count(b"}") + count(b";") + count(b"_") + count(b"()")) / 2,
        log1p(count(b"(")) / 2,
        log1p(count(b'"')) / 2,
        log1p(count(b". ")) / 2,
        count(b",") / many * 5,
        log1p(count(b":")) / 2,
        1.0 if b"__" in lower else 0.0,
    )


def _options(lower: bytes) -> tuple[int, float, float, int]:
    """Return how many options there are, their length and digits, and the size of the task."""
    found = len(_OPTION.findall(lower))
    first = _OPTION.search(lower) if found > 1 else None
    if first is None:
        return 0, 0.0, 0.0, len(lower)
    size = len(lower) - first.start()
    digits = lower.count(b"0", first.start())
    return min(found, 10), log1p(size / found) / 4, digits / size * 3, first.start()
