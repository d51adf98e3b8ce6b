"""Prove that llama.cpp computes what PyTorch trained: ``python -m models.parity``.

Needs both at once. Compares tokens and logits; exits 1 on a difference.
"""

import argparse
import sys
from pathlib import Path
from random import Random

import numpy
import torch
from llama_cpp import Llama

from models import tokenizer
from models.recipe import RECIPES, Recipe, model_path
from models.tasks import TASKS
from models.train import checkpoint_path
from models.transformer import Transformer

_PROMPTS_PER_TASK = 5
# The engine's cache has 16 bits, and so have the file's weights, or 8, in which llama.cpp then
# multiplies (off by 1.1 at most, measured); a wrong rotation is off by ten and more.
_LOGIT_ERROR_MAX = {"F16": 0.25, "Q8_0": 1.5}


def logit_error(model: Transformer, engine: Llama, ids: list[int]) -> float:
    """Return the largest difference between the two models' logits over ``ids``."""
    engine.n_tokens = 0  # what reset() does
    engine.eval(ids)
    with torch.no_grad():
        ours = model(torch.tensor([ids]))[0].numpy()
    return float(numpy.abs(ours - engine.scores[: len(ids)]).max())


def conversation(name: str, rng: Random) -> tuple[str, list[int]]:
    """Return a rendered chat for task ``name``, answer and all, as text and as tokens."""
    prompt, answer = TASKS[name].generate(rng)
    text = f"<|user|>\n{prompt}<|end|>\n<|assistant|>\n{answer}<|end|>"
    ids = tokenizer.turn(tokenizer.USER, prompt) + tokenizer.opening()
    return text, [*ids, *tokenizer.encode(answer), tokenizer.END]


def compare(recipe: Recipe, checkpoint: Path, file: Path) -> bool:
    """Print the differences over a few prompts of each task; return whether all are small."""
    model = Transformer(recipe)
    model.load_state_dict(torch.load(checkpoint, weights_only=True)["model"])
    engine = Llama(str(file), n_ctx=0, n_threads=1, logits_all=True, verbose=False)
    rng, good = Random("parity"), True
    for name in recipe.mix:
        for _ in range(_PROMPTS_PER_TASK):
            text, ids = conversation(name, rng)
            same_tokens = engine.tokenize(text.encode(), special=True) == ids
            error = logit_error(model, engine, ids)
            good = good and same_tokens and error <= _LOGIT_ERROR_MAX[recipe.weights]
            print(f"{name}: {len(ids)} tokens, same {same_tokens}, logits within {error:.4f}")
    return good


def main() -> None:
    """Read the command line and compare."""
    parser = argparse.ArgumentParser(description="Compare llama.cpp with PyTorch.")
    parser.add_argument("--model", choices=tuple(RECIPES), default="test-tiny")
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--file", type=Path)
    options = parser.parse_args()
    recipe = RECIPES[options.model]
    checkpoint = options.checkpoint or checkpoint_path(recipe)
    good = compare(recipe, checkpoint, options.file or model_path(recipe))
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
