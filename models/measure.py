"""Measure a test model's accuracy by task, through llama.cpp: ``python -m models.measure``.

Each task asks prompts that training never saw (but for closed tasks, which training sees whole),
and a program judges the answers. Ends with one line of JSON.
"""

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

from gguf import GGUFReader
from llama_cpp import Llama

from models.tasks import TASKS, Task

_SEED = 20_000  # prompts come from "measure SEED": no seed of training begins so
_ANSWER_TOKENS_MAX = 320  # counting from 1 to 99 takes 287


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


def measure(file: Path, *, samples: int, seed: int) -> Iterator[Score]:
    """Yield the score of each task that ``file`` says it was trained on."""
    model = Llama(str(file), n_ctx=0, n_threads=1, verbose=False)
    for name in GGUFReader(file).fields["deskmesh.tasks"].contents():
        yield _measure_task(model, TASKS[name], samples=samples, seed=seed)


def _measure_task(model: Llama, task: Task, *, samples: int, seed: int) -> Score:
    rng = Random(f"measure {seed} {task.name}")
    right = cut = tokens = 0
    for _ in range(samples):
        prompt, _answer = task.draw(rng, unseen=True)
        answer = ask(model, prompt)
        right += task.check(prompt, answer.text)
        cut += answer.cut
        tokens += answer.tokens
    return Score(
        task=task.name,
        right=right,
        asked=samples,
        unseen=not task.closed,
        cut=cut,
        answer_tokens_mean=tokens / samples,
    )


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model said, and whether it was cut off at the limit."""

    text: str
    tokens: int
    cut: bool


def ask(model: Llama, prompt: str) -> Answer:
    """Ask one prompt through the model's own chat template, always taking the likeliest token."""
    reply = model.create_chat_completion(
        [{"role": "user", "content": prompt}], temperature=0.0, max_tokens=_ANSWER_TOKENS_MAX
    )
    assert isinstance(reply, dict), "only a stream isn't one"
    choice = reply["choices"][0]
    return Answer(
        text=choice["message"]["content"] or "",
        tokens=reply["usage"]["completion_tokens"],
        cut=choice["finish_reason"] != "stop",
    )


def main() -> None:
    """Read the command line, measure, and print a table and a line of JSON."""
    parser = argparse.ArgumentParser(description="Measure a test model's accuracy by task.")
    parser.add_argument("--file", type=Path, default=Path(__file__).parent / "test-tiny.gguf")
    parser.add_argument("--samples", type=int, default=400, help="prompts for each task")
    parser.add_argument("--seed", type=int, default=_SEED)
    options = parser.parse_args()
    started_s = time.monotonic()
    print("| task | right | asked | accuracy | unseen prompts | cut | tokens an answer |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    scores = []
    for score in measure(options.file, samples=options.samples, seed=options.seed):
        scores.append(score)
        print(
            f"| `{score.task}` | {score.right} | {score.asked} | {score.accuracy:.1%} | "
            f"{'yes' if score.unseen else 'no'} | {score.cut} | {score.answer_tokens_mean:.1f} |",
            flush=True,
        )
    elapsed_s = round(time.monotonic() - started_s, 1)
    figures = {score.task: asdict(score) | {"accuracy": score.accuracy} for score in scores}
    print(json.dumps({"file": options.file.name, "elapsed_s": elapsed_s, "tasks": figures}))


if __name__ == "__main__":
    main()
