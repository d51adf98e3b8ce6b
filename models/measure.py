"""Measure the test models' accuracy by task, through llama.cpp: ``python -m models.measure``.

Each task asks prompts that training never saw (but for closed tasks, which training sees whole),
and a program judges the answers. Ends with one line of JSON.
"""

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

from models.asking import Asked
from models.recipe import RECIPES, Recipe, model_path
from models.tasks import TASKS, Task

_SEED = 20_000  # prompts come from "measure SEED": no seed of training begins so


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How one task went."""

    task: str
    right: int
    asked: int
    unseen: bool  # whether the prompts were kept from training
    cut: int  # answers that hit the limit instead of ending
    answer_tokens_mean: float

    @property
    def accuracy(self) -> float:
        """Share of right answers."""
        return self.right / self.asked


def measure(file: Path, tasks: Sequence[Task], *, samples: int, seed: int) -> Iterator[Score]:
    """Yield the score of each task."""
    with Asked(file) as model:
        for task in tasks:
            yield _measure_task(model, task, samples=samples, seed=seed)


def fresh_prompts(task: Task, *, samples: int, seed: int) -> list[str]:
    """Return prompts that training never saw; the same for every model."""
    rng = Random(f"measure {seed} {task.name}")
    return [task.draw(rng, unseen=True).prompt for _ in range(samples)]


def _measure_task(model: Asked, task: Task, *, samples: int, seed: int) -> Score:
    prompts = fresh_prompts(task, samples=samples, seed=seed)
    right = cut = tokens = 0
    for prompt, answer in zip(prompts, model.answers(prompts), strict=True):
        right += task.check(prompt, answer.text)
        cut += not answer.ended
        tokens += len(answer.tokens) + answer.ended  # the mark that ends it is one, too
    return Score(
        task=task.name,
        right=right,
        asked=samples,
        unseen=not task.closed,
        cut=cut,
        answer_tokens_mean=tokens / samples,
    )


def _table(scores: dict[str, list[Score]]) -> Iterator[str]:
    """Yield the lines of a table: a row for each task, by field, and a column for each model."""
    found = {name: {score.task: score for score in of} for name, of in scores.items()}
    yield "| field | task | " + " | ".join(name.removeprefix("test-") for name in scores) + " |"
    yield "| --- " * (2 + len(scores)) + "|"
    for task in sorted(TASKS.values(), key=lambda task: task.domain):
        of_task = [found[name].get(task.name) for name in scores]
        cells = ["" if score is None else f"{score.accuracy:.1%}" for score in of_task]
        yield f"| {task.domain} | `{task.name}` | {' | '.join(cells)} |"


def _tasks(recipe: Recipe) -> list[Task]:
    """A specialist is asked about its field, any other model about all."""
    return [task for task in TASKS.values() if recipe.domain in (None, task.domain)]


def main() -> None:
    """Read the command line, measure, and print a table and a line of JSON."""
    parser = argparse.ArgumentParser(description="Measure the test models' accuracy by task.")
    parser.add_argument("--model", choices=tuple(RECIPES), action="append", help="default: all")
    parser.add_argument("--samples", type=int, default=400, help="prompts for each task")
    parser.add_argument("--seed", type=int, default=_SEED)
    options = parser.parse_args()
    started_s = time.monotonic()
    scores = {}
    for name in options.model or RECIPES:
        recipe = RECIPES[name]
        scores[name] = list(
            measure(model_path(recipe), _tasks(recipe), samples=options.samples, seed=options.seed)
        )
    print("\n".join(_table(scores)))
    figures = {
        name: {score.task: asdict(score) | {"accuracy": score.accuracy} for score in of}
        for name, of in scores.items()
    }
    elapsed_s = round(time.monotonic() - started_s, 1)
    print(json.dumps({"elapsed_s": elapsed_s, "models": figures}))


if __name__ == "__main__":
    main()
