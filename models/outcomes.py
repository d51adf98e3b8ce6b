"""Write what each test model makes of fresh prompts: ``python -m models.outcomes FILE``.

A line for each prompt, in the format that routing learns from: ``prompt``, ``domain``, and
``outcomes`` by model name, each with ``score`` (1 is right), ``cost_microusd`` and ``tokens`` (of
the answer, each with ``logprob`` and ``top_logprobs`` in natural logs). A file that ends in ``.gz``
is compressed.
"""

import argparse
import gzip
import json
import random
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from models.asking import Answer, Asked
from models.measure import fresh_prompts
from models.recipe import RECIPES, model_path
from models.tasks import TASKS, Task

_SEED = 30_000  # other prompts than those of the tables in README.md
# Nobody sells these models; the prices are made up, but for their ratios: reading or writing a
# token costs what its multiplications do, which are as many as the parameters.
_PARAMETER_TOKENS_PER_MICROUSD = 1e7
_DIGITS = 4  # of a logarithm: 0.01 % of a probability


def outcomes(
    tasks: Sequence[Task], names: Sequence[str], *, samples: int, seed: int
) -> Iterator[dict[str, Any]]:
    """Yield an object for each prompt, ``samples`` for each task, in an order without a pattern."""
    asked = [(task, p) for task in tasks for p in fresh_prompts(task, samples=samples, seed=seed)]
    random.Random(seed).shuffle(asked)
    columns = {name: list(_of_model(name, asked)) for name in names}
    for at, (task, prompt) in enumerate(asked):
        of_models = {name: column[at] for name, column in columns.items()}
        yield {"prompt": prompt, "domain": task.domain, "outcomes": of_models}


def _of_model(name: str, asked: Sequence[tuple[Task, str]]) -> Iterator[dict[str, Any]]:
    with Asked(model_path(RECIPES[name])) as model:
        answers = model.answers([prompt for _, prompt in asked])
        for (task, prompt), answer in zip(asked, answers, strict=True):
            yield {
                "score": int(answer.ended and task.check(prompt, answer.text)),
                "cost_microusd": _cost_microusd(answer, model.parameters),
                "tokens": [
                    {
                        "logprob": round(token.logprob, _DIGITS),
                        "top_logprobs": [round(value, _DIGITS) for value in token.top_logprobs],
                    }
                    for token in answer.tokens
                ],
            }


def _cost_microusd(answer: Answer, parameters: int) -> int:
    tokens = answer.prompt_tokens + len(answer.tokens)
    return round(tokens * parameters / _PARAMETER_TOKENS_PER_MICROUSD)


def write(lines: Iterable[dict[str, Any]], target: Path) -> int:
    """Write a line of JSON for each object; return how many. Equal objects give equal bytes."""
    with target.open("wb") as raw:
        compressed = gzip.GzipFile("", "wb", fileobj=raw, mtime=0) if _is_gzip(target) else raw
        count = 0
        for line in lines:
            compressed.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")
            count += 1
        if compressed is not raw:
            compressed.close()
    return count


def _is_gzip(target: Path) -> bool:
    return target.suffix == ".gz"


def main() -> None:
    """Read the command line and write the file."""
    parser = argparse.ArgumentParser(description="Write what each test model makes of prompts.")
    parser.add_argument("file", type=Path, help="*.jsonl or *.jsonl.gz")
    parser.add_argument("--model", choices=tuple(RECIPES), action="append", help="default: all")
    parser.add_argument("--task", choices=tuple(TASKS), action="append", help="default: all")
    parser.add_argument("--samples", type=int, default=100, help="prompts for each task")
    parser.add_argument("--seed", type=int, default=_SEED)
    options = parser.parse_args()
    tasks = [TASKS[name] for name in options.task or TASKS]
    names = options.model or list(RECIPES)
    lines = outcomes(tasks, names, samples=options.samples, seed=options.seed)
    count = write(lines, options.file)
    print(f"{options.file}: {count:,} prompts, {len(names)} models")


if __name__ == "__main__":
    main()
