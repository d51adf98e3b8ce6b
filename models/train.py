"""Train a test model: ``python -m models.train``; breaks off and resumes at a checkpoint.

The checkpoint holds everything that the next step needs, and a step's samples follow from its
number, so stopping and resuming changes nothing. Only ``--limit-s`` depends on the clock: it ends
the fall of the learning rate after so many seconds, whatever step that is. A training that ended so
early goes on when it is asked for again: its learning rate rises and falls once more.
"""

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from platformdirs import user_cache_path
from torch import Tensor
from torch.nn import functional

from models.batches import batches
from models.groups import Group
from models.recipe import RECIPES, Recipe
from models.transformer import Transformer

_WARM_UP_STEPS = 100
_SAVE_EVERY_S = 60.0
_REPORT_EVERY_STEPS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where the training runs.

    Attributes:
        device: as PyTorch names it: "cpu", "cuda", ...
        workers: processes that make batches ahead; 0 makes them between the steps.
        limit_s: seconds after which the training has ended, or None for all of the steps.
    """

    device: str = "cpu"
    workers: int = 0
    limit_s: float | None = None


def checkpoint_path(recipe: Recipe) -> Path:
    """Return where a model's checkpoint lies unless told otherwise: never in the repository."""
    return user_cache_path("deskmesh") / "training" / f"{recipe.name}.pt"


@dataclass(slots=True)
class _State:
    """What a checkpoint holds; ``rises_at`` is the step at which the learning rate began anew."""

    model: Transformer
    optimizer: torch.optim.Optimizer
    step: int = 0
    rises_at: int = 0


def train(recipe: Recipe, checkpoint: Path, machine: Machine) -> None:
    """Train ``recipe`` from ``checkpoint``, or from the start, to its end."""
    started_s = saved_s = time.monotonic()
    state = _begin(recipe, checkpoint, machine)
    first, loss_sum = state.step, torch.zeros((), device=machine.device)
    for groups in batches(recipe, first, workers=machine.workers):
        elapsed_s = time.monotonic() - started_s
        elapsed_share = elapsed_s / machine.limit_s if machine.limit_s else 0.0
        progress = max(state.step / recipe.steps, elapsed_share)
        if progress >= 1:
            break
        for settings in state.optimizer.param_groups:
            rate = _rate(state.step - state.rises_at, progress)
            settings["lr"] = recipe.learning_rate * rate
        loss_sum += _step(state.model, state.optimizer, groups, machine)
        state.step += 1
        if state.step % _REPORT_EVERY_STEPS == 0:
            loss, pace_s = float(loss_sum) / _REPORT_EVERY_STEPS, elapsed_s / (state.step - first)
            print(
                f"step {state.step}  {progress:.1%}  loss {loss:.4f}  {pace_s:.3f} s each",
                flush=True,
            )
            loss_sum.zero_()
        if time.monotonic() - saved_s > _SAVE_EVERY_S:
            saved_s = time.monotonic()
            _save(checkpoint, state, ended=False)
    _save(checkpoint, state, ended=True)


def _begin(recipe: Recipe, checkpoint: Path, machine: Machine) -> _State:
    """Return a new model, or that of ``checkpoint`` if there is one."""
    torch.manual_seed(recipe.seed)
    model = Transformer(recipe).to(machine.device)
    state = _State(
        model,
        torch.optim.AdamW(model.parameters(), betas=(0.9, 0.95), weight_decay=0.01, fused=True),
    )
    print(f"{recipe.name}: {sum(p.numel() for p in model.parameters()):,} parameters")
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True, map_location=machine.device)
        model.load_state_dict(saved["model"])
        state.optimizer.load_state_dict(saved["optimizer"])
        state.step = saved["step"]
        state.rises_at = saved["step"] if saved["ended"] else saved["rises_at"]
    if machine.device != "cpu":
        _quicken(model)
    return state


def _quicken(model: Transformer) -> None:
    """Fuse each block's many small operations, and multiply in TF32 what isn't in 16 bits.

    All blocks share one compilation, for any number of rows and tokens.
    """
    torch.set_float32_matmul_precision("high")
    for block in model.blocks:
        block.compile(dynamic=True)


def _step(
    model: Transformer, optimizer: torch.optim.Optimizer, groups: list[Group], machine: Machine
) -> Tensor:
    """Take one optimizer step; return the step's mean loss, where it was computed."""
    loss_total = torch.zeros((), device=machine.device)
    for group in groups:
        ids, places, targets, weights = (
            torch.from_numpy(array).to(machine.device, non_blocking=True) for array in group
        )
        # 16-bit multiplications: fast on accelerators, and emulated on most processors.
        with torch.autocast(machine.device, torch.bfloat16, enabled=machine.device != "cpu"):
            hidden = model.stream(ids.long()).flatten(0, 1)
            logits = model.logits(hidden[places]).float()
        loss = (functional.cross_entropy(logits, targets, reduction="none") * weights).sum()
        loss.backward()
        loss_total += loss.detach()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()
    return loss_total


def _rate(steps: int, progress: float) -> float:
    """Rise over the first of these ``steps``, and fall in a straight line to zero at the end."""
    return min(1.0, (steps + 1) / _WARM_UP_STEPS) * (1 - progress)


def _save(checkpoint: Path, state: _State, *, ended: bool) -> None:
    """Write the checkpoint whole or not at all: a broken-off write leaves the one before."""
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    partial = checkpoint.with_suffix(".partial")
    counts = {"step": state.step, "rises_at": state.rises_at, "ended": ended}
    weights = {"model": state.model.state_dict(), "optimizer": state.optimizer.state_dict()}
    torch.save(counts | weights, partial)
    partial.replace(checkpoint)


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description="Train a test model.")
    parser.add_argument("--model", choices=tuple(RECIPES), default="test-tiny")
    parser.add_argument("--checkpoint", type=Path, help="where to resume from and save to")
    parser.add_argument("--restart", action="store_true", help="forget the checkpoint")
    parser.add_argument("--device", default="cpu", help="cuda takes a GPU")
    parser.add_argument("--limit-s", type=float, help="end after so many seconds")
    parser.add_argument("--workers", type=int, default=0, help="processes that make the batches")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    recipe = RECIPES[options.model]
    checkpoint = options.checkpoint or checkpoint_path(recipe)
    if options.restart:
        checkpoint.unlink(missing_ok=True)
    torch.set_num_threads(options.threads)
    machine = Machine(device=options.device, workers=options.workers, limit_s=options.limit_s)
    train(recipe, checkpoint, machine)


if __name__ == "__main__":
    main()
