"""What the ladder learns from before it is measured: each model's answers to other prompts.

The test models are asked through llama.cpp, many prompts side by side, which takes a fifth of the
time; anybody's own models, through the mesh. Both give what ``deskmesh route train`` reads.
"""

import asyncio
import json
import multiprocessing
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bench.ladder_answers import LOGPROBS, How, Told, ask_all
from bench.ladder_public import route
from bench.ladder_questions import LINE_TOKENS, LONG_TOKENS, Question, of_domain
from bench.ladder_rungs import Rungs
from mesh.client import MeshClient
from mesh.core.policies import Policy

# Signs are learned of as much of an answer as there is when it is judged.
HELD_TOKENS = Policy.BALANCED.hold_tokens
# One in so many questions is asked. What judges a model's answers needs 200 labels of each field.
# The best generalist has twice, and specialists more of their own, so that calibrations can be
# repeated on parts of them. A specialist is asked of other fields only to learn that they are none
# of its own. Whoever is paid is not judged.
PAID_EVERY, SMALL_EVERY, TINY_EVERY, FOREIGN_EVERY = 6, 2, 3, 16
PROCESSES = 2

Tokens = tuple[tuple[float, ...], ...]  # of each token its likeliest candidates, natural logs


@dataclass(frozen=True, slots=True)
class Label:
    """What one model made of one prompt."""

    right: bool
    tokens: Tokens = ()


Labels = dict[str, dict[str, Label]]  # model -> prompt -> label


def plan(rungs: Rungs, questions: Sequence[Question]) -> dict[str, list[Question]]:
    """Return who is asked what, the slowest first."""
    asked = {rungs.paid: list(questions[::PAID_EVERY])}
    for local in reversed(rungs.models):
        if local.domain:
            foreign = [each for each in questions if each.domain != local.domain]
            own = of_domain(questions, local.domain)
            asked[local.name] = own + foreign[::FOREIGN_EVERY]
        else:
            every = SMALL_EVERY if local is rungs.small else TINY_EVERY
            asked[local.name] = list(questions[::every])
    return asked


async def labels_by_llama_cpp(rungs: Rungs, asked: Mapping[str, Sequence[Question]]) -> Labels:
    """Ask the test models in processes of their own, one model after the other in each."""
    files = {each.name: each.file for each in rungs.models}
    if rungs.paid_file is not None:
        files[rungs.paid] = rungs.paid_file
    loop, spawn = asyncio.get_running_loop(), multiprocessing.get_context("spawn")
    labels: Labels = {}
    with ProcessPoolExecutor(PROCESSES, mp_context=spawn) as pool:

        async def ask_one(name: str, questions: Sequence[Question]) -> None:
            labels[name] = await loop.run_in_executor(pool, _labels, files[name], questions)
            print(f"  learned of {name} from {len(labels[name])} answers", flush=True)

        await asyncio.gather(*(ask_one(*each) for each in asked.items()))
    return {name: labels[name] for name in asked}


async def labels_by_mesh(
    client: MeshClient, rungs: Rungs, asked: Mapping[str, Sequence[Question]]
) -> Labels:
    """Ask each model by its name."""
    labels: Labels = {}
    for name, questions in asked.items():
        signs = None if name == rungs.paid else LOGPROBS
        told = await ask_all(client, rungs, questions, How(model=name, logprobs=signs))
        labels[name] = {each.question.prompt: _label(each) for each in told if not each.failure}
        print(f"  learned of {name} from {len(labels[name])} answers", flush=True)
    return labels


def write_outcomes(file: Path, questions: Sequence[Question], labels: Labels) -> None:
    """Write what is known of each prompt."""
    with file.open("w") as lines:
        for each in questions:
            of_models = {
                model: {
                    "score": int(label.right),
                    "tokens": [{"top_logprobs": list(top)} for top in label.tokens] or None,
                }
                for model, by_prompt in labels.items()
                if (label := by_prompt.get(each.prompt)) is not None
            }
            if of_models:
                line = {"prompt": each.prompt, "domain": each.domain, "outcomes": of_models}
                lines.write(json.dumps(line) + "\n")


def without_domain(outcomes: Path, domain: str, folder: Path) -> Path:
    """Write the outcomes again, but for those of a domain."""
    file = folder / f"outcomes-{domain}.jsonl"
    with outcomes.open() as lines, file.open("w") as kept:
        kept.writelines(line for line in lines if json.loads(line)["domain"] != domain)
    return file


async def train(outcomes: Path, scorer: Path) -> None:
    """Let ``deskmesh route train`` make a scorer of outcomes, as any user would."""
    await route("train", "--data", str(outcomes), "--out", str(scorer))


def _labels(file: Path, questions: Sequence[Question]) -> dict[str, Label]:
    """In a process of its own: load the model, and ask it all that is to be as long, together."""
    from models.asking import Asked

    labels: dict[str, Label] = {}
    with Asked(file) as model:
        for tokens_max in (LINE_TOKENS, LONG_TOKENS):
            some = [each for each in questions if each.max_tokens == tokens_max]
            answers = model.answers([each.prompt for each in some], tokens_max=tokens_max)
            for question, answer in zip(some, answers, strict=True):
                tops = tuple(token.top_logprobs for token in answer.tokens[:HELD_TOKENS])
                right = answer.ended and question.is_right(answer.text)
                labels[question.prompt] = Label(right, _rounded(tops))
    return labels


def _label(told: Told) -> Label:
    tops = tuple(
        tuple(each.logprob for each in token.alternatives) for token in told.logprobs[:HELD_TOKENS]
    )
    return Label(told.right, _rounded(tops))


def _rounded(tops: Tokens) -> Tokens:
    """0.01 % of a probability tells as much, in half of the file."""
    return tuple(tuple(round(each, 4) for each in top) for top in tops)
