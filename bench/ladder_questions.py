"""What the ladder is asked: fresh prompts of the test models' tasks, each answer judged."""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from random import Random

from models.tasks import TASKS, Task

# `count` goes up to 99 in 287 tokens; no other answer is longer than a line.
LONG_TOKENS, LINE_TOKENS = 300, 48
TRIES = 20  # for a prompt that was not drawn before; a task of few prompts has fewer questions


@dataclass(frozen=True, slots=True)
class Question:
    """One prompt of a task."""

    prompt: str
    task: Task

    @property
    def domain(self) -> str:
        return self.task.domain

    @property
    def max_tokens(self) -> int:
        return LONG_TOKENS if self.task.name == "count" else LINE_TOKENS

    def is_right(self, answer: str) -> bool:
        return self.task.check(self.prompt, answer.strip())


def drawn(each: int, *, seed: str, without: Container[str] = ()) -> list[Question]:
    """Return ``each`` questions of every task, well mixed, none twice and none of ``without``.

    They are of those prompts that no model was trained on, but for tasks that have too few.
    """
    rng = Random(seed)
    questions = [
        question for task in TASKS.values() for question in _of_task(task, each, rng, without)
    ]
    rng.shuffle(questions)
    return questions


def of_domain(questions: Sequence[Question], domain: str) -> list[Question]:
    return [each for each in questions if each.domain == domain]


def _of_task(task: Task, count: int, rng: Random, without: Container[str]) -> list[Question]:
    found: dict[str, Question] = {}
    for _ in range(count * TRIES):
        if len(found) == count:
            break
        prompt = task.draw(rng, unseen=True).prompt
        if prompt not in without:
            found[prompt] = Question(prompt, task)
    return list(found.values())
