"""Counting: long answers, to stream, to cancel and to fail over in the middle of."""

import re
from itertools import pairwise
from random import Random

from models.tasks.task import Sample, Task

NUMBER_MAX = 99

_PROMPT = re.compile(r"Count from (\d+) to (\d+)")


def _generate(rng: Random) -> Sample:
    start, stop = sorted(rng.sample(range(1, NUMBER_MAX + 1), k=2))
    return Sample(f"Count from {start} to {stop}", " ".join(map(str, range(start, stop + 1))))


def _check(prompt: str, answer: str) -> bool:
    match = _PROMPT.fullmatch(prompt)
    if match is None or re.fullmatch(r"\d+( \d+)*", answer) is None:
        return False
    numbers = [int(word) for word in answer.split(" ")]
    rising = all(after == before + 1 for before, after in pairwise(numbers))
    return rising and (numbers[0], numbers[-1]) == (int(match[1]), int(match[2]))


FAMILY = (
    Task(
        name="count",
        domain="arithmetic",
        description="Every number from one to another, up to 99; up to 287 tokens.",
        example="Count from 1 to 60",
        generate=_generate,
        check=_check,
    ),
)
