"""Several words: the one at a place."""

import re
from random import Random
from string import ascii_lowercase

from models.tasks.task import Sample, Task

_PROMPT = re.compile(r"Word number (\d) in the text: ([a-z]+(?: [a-z]+)*)")


def _generate(rng: Random) -> Sample:
    words = [
        "".join(rng.choices(ascii_lowercase, k=rng.randint(2, 6))) for _ in range(rng.randint(3, 9))
    ]
    number = rng.randint(1, len(words))
    return Sample(f"Word number {number} in the text: {' '.join(words)}", words[number - 1])


def _check(prompt: str, answer: str) -> bool:
    match = _PROMPT.fullmatch(prompt)
    if match is None:
        return False
    words = dict(enumerate(match[2].split(" "), start=1))
    return answer == words.get(int(match[1]))


FAMILY = (
    Task(
        name="word_number",
        domain="text",
        description="The word at a place among three to nine.",
        example="Word number 3 in the text: red green blue cyan",
        generate=_generate,
        check=_check,
    ),
)
