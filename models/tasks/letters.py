"""The letters of a word: sorted, counted, and shifted along the alphabet."""

import re
from collections import Counter
from itertools import pairwise
from random import Random
from string import ascii_lowercase

from models.tasks.task import Sample, Task

_SORT = re.compile(r"Sort the letters of the word: ([a-z]+)")
_COUNT = re.compile(r"Count the letter ([a-z]) in the word: ([a-z]+)")
_SHIFT = re.compile(r"Shift the letters by (\d+) in the word: ([a-z]+)")


def _letters(rng: Random, least: int, most: int) -> str:
    return "".join(rng.choices(ascii_lowercase, k=rng.randint(least, most)))


def _generate_sort(rng: Random) -> Sample:
    word = _letters(rng, 3, 9)
    return Sample(f"Sort the letters of the word: {word}", "".join(sorted(word)))


def _check_sort(prompt: str, answer: str) -> bool:
    match = _SORT.fullmatch(prompt)
    if match is None or Counter(answer) != Counter(match[1]):
        return False
    return all(before <= after for before, after in pairwise(answer))


def _generate_count(rng: Random) -> Sample:
    """Plant the letter up to five times: in random words it would hardly come at all."""
    letter, planted = rng.choice(ascii_lowercase), rng.randint(0, 5)
    others = ascii_lowercase.replace(letter, "")
    drawn = [letter] * planted + rng.choices(others, k=rng.randint(3, 9))
    rng.shuffle(drawn)
    return Sample(f"Count the letter {letter} in the word: {''.join(drawn)}", str(planted))


def _check_count(prompt: str, answer: str) -> bool:
    match = _COUNT.fullmatch(prompt)
    return match is not None and answer == str(match[2].count(match[1]))


def _generate_shift(rng: Random) -> Sample:
    shift, word = rng.randint(1, 25), _letters(rng, 3, 7)
    table = str.maketrans(ascii_lowercase, ascii_lowercase[shift:] + ascii_lowercase[:shift])
    return Sample(f"Shift the letters by {shift} in the word: {word}", word.translate(table))


def _check_shift(prompt: str, answer: str) -> bool:
    match = _SHIFT.fullmatch(prompt)
    if match is None:
        return False
    shifted = [(ord(letter) - ord("a") + int(match[1])) % 26 for letter in match[2]]
    return answer == "".join(chr(ord("a") + place) for place in shifted)


FAMILY = (
    Task(
        name="sort_letters",
        domain="text",
        description="The letters of a word in the order of the alphabet.",
        example="Sort the letters of the word: mesh",
        generate=_generate_sort,
        check=_check_sort,
    ),
    Task(
        name="count_letter",
        domain="text",
        description="How often a letter is in a word of up to 14.",
        example="Count the letter e in the word: messenger",
        generate=_generate_count,
        check=_check_count,
    ),
    Task(
        name="shift_letters",
        domain="text",
        description="Each letter of a word, so many places on in the alphabet; hard.",
        example="Shift the letters by 3 in the word: mesh",
        generate=_generate_shift,
        check=_check_shift,
    ),
)
