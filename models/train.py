"""Train a test model: ``python -m models.train``; breaks off and resumes at a checkpoint.

The checkpoint holds everything that the next step needs, and a step's samples follow from its
number, so stopping and resuming changes nothing.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from platformdirs import user_cache_path
from torch import Tensor
from torch.nn import functional

from models.corpus import Conversation, conversations
from models.recipe import RECIPES, Recipe
from models.transformer import Transformer

# Conversations are padded to the longest of their group: a short one doesn't pay for counting.
_GROUP_LIMITS_TOKENS = (48, 112, 320, 10**9)
_WARM_UP_STEPS = 100
_SAVE_EVERY_STEPS = 200
_REPORT_EVERY_STEPS = 20
_NOT_LEARNED = -100  # the target that cross_entropy leaves out


def checkpoint_path(recipe: Recipe) -> Path:
    """Return where a model's checkpoint lies unless told otherwise: never in the repository."""
    return user_cache_path("deskmesh") / "training" / f"{recipe.name}.pt"


def train(recipe: Recipe, checkpoint: Path) -> None:
    """Train ``recipe`` from ``checkpoint``, or from the start, to its last step."""
    torch.manual_seed(recipe.seed)
    model = Transformer(recipe)
    optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.95), weight_decay=0.01)
    first = _resume(checkpoint, model, optimizer)
    print(f"{recipe.name}: {sum(p.numel() for p in model.parameters()):,} parameters")
    started_s, loss_sum = time.monotonic(), 0.0
    for step in range(first, recipe.steps):
        loss_sum += _step(recipe, step, model, optimizer)
        done = step + 1
        if done % _REPORT_EVERY_STEPS == 0:
            elapsed_s = time.monotonic() - started_s
            left_s = elapsed_s / (done - first) * (recipe.steps - done)
            loss = loss_sum / _REPORT_EVERY_STEPS
            print(f"step {done}/{recipe.steps}  loss {loss:.4f}  {left_s:.0f} s left", flush=True)
            loss_sum = 0.0
        if done % _SAVE_EVERY_STEPS == 0 or done == recipe.steps:
            _save(checkpoint, done, model, optimizer)


def _step(recipe: Recipe, step: int, model: Transformer, optimizer: torch.optim.Optimizer) -> float:
    """Take one optimizer step; return the step's mean loss.

    A conversation weighs as the square root of its learned tokens: by the token, counting to 99
    would drown the one-word answers; by the conversation, where to stop counting would be lost.
    """
    for group in optimizer.param_groups:
        group["lr"] = _learning_rate(recipe, step)
    drawn = conversations(recipe, step)
    weight_total = sum(sum(conversation.learned) ** 0.5 for conversation in drawn)
    loss_total = 0.0
    for ids, targets in _groups(drawn):
        logits = model(ids).transpose(1, 2)
        losses = functional.cross_entropy(logits, targets, reduction="none")
        learned = (targets != _NOT_LEARNED).sum(dim=1)
        loss = (losses.sum(dim=1) / learned.sqrt()).sum() / weight_total
        loss.backward()
        loss_total += loss.item()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()
    return loss_total


def _learning_rate(recipe: Recipe, step: int) -> float:
    """Rise over the first steps, then fall in a straight line to zero at the end."""
    rising = (step + 1) / _WARM_UP_STEPS
    falling = (recipe.steps - step) / (recipe.steps - _WARM_UP_STEPS)
    return recipe.learning_rate * min(1.0, rising, falling)


def _groups(drawn: Sequence[Conversation]) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the conversations as padded (ids, targets), grouped by length."""
    shorter = 0
    for limit in _GROUP_LIMITS_TOKENS:
        group = [one for one in drawn if shorter < len(one.ids) <= limit]
        shorter = limit
        if not group:
            continue
        length = max(len(one.ids) for one in group)
        ids = torch.zeros(len(group), length - 1, dtype=torch.long)
        targets = torch.full_like(ids, _NOT_LEARNED)
        for row, one in enumerate(group):
            all_ids, learned = torch.tensor(one.ids), torch.tensor(one.learned)
            ids[row, : len(one.ids) - 1] = all_ids[:-1]
            targets[row, : len(one.ids) - 1] = all_ids.where(learned, _NOT_LEARNED)[1:]
        yield ids, targets


def _resume(checkpoint: Path, model: Transformer, optimizer: torch.optim.Optimizer) -> int:
    """Load ``checkpoint`` if there is one; return the step to go on with."""
    if not checkpoint.exists():
        return 0
    saved = torch.load(checkpoint, weights_only=True)
    model.load_state_dict(saved["model"])
    optimizer.load_state_dict(saved["optimizer"])
    step: int = saved["step"]
    return step


def _save(
    checkpoint: Path, step: int, model: Transformer, optimizer: torch.optim.Optimizer
) -> None:
    """Write the checkpoint whole or not at all: a broken-off write leaves the one before."""
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    partial = checkpoint.with_suffix(".partial")
    saved = {"step": step, "model": model.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save(saved, partial)
    partial.replace(checkpoint)


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description="Train a test model.")
    parser.add_argument("--model", choices=tuple(RECIPES), default="test-tiny")
    parser.add_argument("--checkpoint", type=Path, help="where to resume from and save to")
    parser.add_argument("--restart", action="store_true", help="forget the checkpoint")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    recipe = RECIPES[options.model]
    checkpoint = options.checkpoint or checkpoint_path(recipe)
    if options.restart:
        checkpoint.unlink(missing_ok=True)
    torch.set_num_threads(options.threads)
    train(recipe, checkpoint)


if __name__ == "__main__":
    main()
