"""Sums. Two digits are deliberately beyond a tiny model: a router needs something to escalate."""

import re
from random import Random

from models.tasks.task import Sample, Task

_PROMPT = re.compile(r"What is (\d+) \+ (\d+)\?")


def _sample(left: int, right: int) -> Sample:
    return Sample(f"What is {left} + {right}?", str(left + right))


def _generate_1_digit(rng: Random) -> Sample:
    return _sample(rng.randint(0, 9), rng.randint(0, 9))


def _generate_2_digits(rng: Random) -> Sample:
    return _sample(rng.randint(10, 99), rng.randint(10, 99))


def _check(prompt: str, answer: str, *, digits: int) -> bool:
    match = _PROMPT.fullmatch(prompt)
    if match is None or any(len(number) != digits for number in match.groups()):
        return False
    return answer == str(int(match[1]) + int(match[2]))


def _check_1_digit(prompt: str, answer: str) -> bool:
    return _check(prompt, answer, digits=1)


def _check_2_digits(prompt: str, answer: str) -> bool:
    return _check(prompt, answer, digits=2)


FAMILY = (
    Task(
        name="sum_1_digit",
        domain="arithmetic",
        description="The sum of two one-digit numbers.",
        example="What is 3 + 4?",
        generate=_generate_1_digit,
        check=_check_1_digit,
        closed=True,  # a hundred prompts
    ),
    Task(
        name="sum_2_digits",
        domain="arithmetic",
        description="The sum of two two-digit numbers; deliberately hard for a tiny model.",
        example="What is 38 + 47?",
        generate=_generate_2_digits,
        check=_check_2_digits,
    ),
)
