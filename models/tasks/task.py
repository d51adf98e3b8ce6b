"""What a task is: prompts made by a seeded program, and answers judged by another.

To add a task, add a file to this folder with ``FAMILY: tuple[Task, ...]``. The checker must read
the prompt itself rather than trust the generator, so that each proves the other right.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import NamedTuple
from zlib import crc32

# The fields that tasks belong to; a specialist is trained on one of them.
DOMAINS = ("arithmetic", "networking", "observability", "security", "text", "time_series")

HELD_OUT_ONE_IN = 8  # leaves most for training, and hundreds unseen of some thousand prompts


class Sample(NamedTuple):
    """A prompt and its only right answer."""

    prompt: str
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One thing a test model can be asked, with a right and a wrong.

    Attributes:
        name: key in ``TASKS`` and in a model file's metadata; snake case.
        domain: the field it belongs to, one of ``DOMAINS``.
        description: one line for people.
        example: a prompt that shows the task.
        generate: makes one sample; draws from nothing but the generator it is passed.
        check: whether an answer is right for a prompt; False for a prompt of another task.
        closed: the prompts are so few that training sees them all: it measures recall, not skill.
    """

    name: str
    domain: str
    description: str
    example: str
    generate: Callable[[Random], Sample]
    check: Callable[[str, str], bool]
    closed: bool = False

    def held_out(self, prompt: str) -> bool:
        """Whether ``prompt`` is kept from training, so that measuring may use it as unseen."""
        return not self.closed and crc32(prompt.encode()) % HELD_OUT_ONE_IN == 0

    def draw(self, rng: Random, *, unseen: bool) -> Sample:
        """Draw from the unseen prompts or from the training ones; a closed task has one pool."""
        while True:
            sample = self.generate(rng)
            if self.closed or self.held_out(sample.prompt) == unseen:
                return sample
