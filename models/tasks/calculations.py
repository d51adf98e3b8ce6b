"""Differences, longer sums and products: what a small model finds hard, and a larger one less."""

import re
from random import Random

from models.tasks.task import Sample, Task

_PROMPT = re.compile(r"What is (\d+) ([-+*]) (\d+)\?")


def _sample(left: int, sign: str, right: int, result: int) -> Sample:
    return Sample(f"What is {left} {sign} {right}?", str(result))


def _generate_difference(rng: Random) -> Sample:
    right, left = sorted((rng.randint(10, 99), rng.randint(10, 99)))
    return _sample(left, "-", right, left - right)


def _generate_sum(rng: Random) -> Sample:
    left, right = rng.randint(100, 999), rng.randint(100, 999)
    return _sample(left, "+", right, left + right)


def _generate_short_product(rng: Random) -> Sample:
    left, right = rng.randint(100, 999), rng.randint(2, 9)
    return _sample(left, "*", right, left * right)


def _generate_product(rng: Random) -> Sample:
    left, right = rng.randint(10, 99), rng.randint(10, 99)
    return _sample(left, "*", right, left * right)


def _operands(prompt: str, sign: str, digits: tuple[int, int]) -> tuple[int, int] | None:
    match = _PROMPT.fullmatch(prompt)
    if match is None or match[2] != sign or (len(match[1]), len(match[3])) != digits:
        return None
    return int(match[1]), int(match[3])


def _check_difference(prompt: str, answer: str) -> bool:
    """Judge by the sum that undoes it; a leading zero would be a second spelling."""
    operands = _operands(prompt, "-", (2, 2))
    if operands is None or re.fullmatch(r"0|[1-9]\d*", answer) is None:
        return False
    return operands[1] + int(answer) == operands[0]


def _check_sum(prompt: str, answer: str) -> bool:
    operands = _operands(prompt, "+", (3, 3))
    return operands is not None and answer == str(sum(operands))


def _check_product(prompt: str, answer: str, digits: tuple[int, int]) -> bool:
    """Judge by dividing: the result has no rest and gives the other factor."""
    operands = _operands(prompt, "*", digits)
    if operands is None or not answer.isdecimal() or answer.startswith("0"):
        return False
    return divmod(int(answer), operands[1]) == (operands[0], 0)


def _check_short_product(prompt: str, answer: str) -> bool:
    return _check_product(prompt, answer, (3, 1))


def _check_long_product(prompt: str, answer: str) -> bool:
    return _check_product(prompt, answer, (2, 2))


FAMILY = (
    Task(
        name="difference_2_digits",
        domain="arithmetic",
        description="The difference of two two-digit numbers, never below zero.",
        example="What is 83 - 47?",
        generate=_generate_difference,
        check=_check_difference,
    ),
    Task(
        name="sum_3_digits",
        domain="arithmetic",
        description="The sum of two three-digit numbers.",
        example="What is 384 + 478?",
        generate=_generate_sum,
        check=_check_sum,
    ),
    Task(
        name="product_by_digit",
        domain="arithmetic",
        description="A three-digit number times a digit; hard.",
        example="What is 384 * 7?",
        generate=_generate_short_product,
        check=_check_short_product,
    ),
    Task(
        name="product_2_digits",
        domain="arithmetic",
        description="The product of two two-digit numbers; hard for all of these models.",
        example="What is 38 * 47?",
        generate=_generate_product,
        check=_check_long_product,
    ),
)
