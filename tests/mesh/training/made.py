"""Outcomes that are made up: what a prompt says tells who can answer it."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FILLING = ("about", "some", "many", "of", "these", "things", "people", "say", "ask", "today")
# word of the prompt -> chance that the weak and the strong model are right
KINDS = {"greeting": (0.9, 0.9), "proof": (0.1, 0.8), "riddle": (0.05, 0.05), "sum": (0.5, 0.9)}


def made_rows(
    rows: int, *, seed: int = 0, tokens: bool = False, domains: bool = True
) -> Iterator[dict[str, Any]]:
    die = random.Random(seed)
    for number in range(rows):
        kind = die.choice(sorted(KINDS))
        words = [die.choice(FILLING) for _ in range(12)] + [kind, f"n{number}x{seed}"]
        die.shuffle(words)
        outcomes = {}
        for model, chance in zip(("weak", "strong"), KINDS[kind], strict=True):
            right = die.random() < chance
            outcomes[model] = {"score": float(right)}
            if tokens:
                outcomes[model]["tokens"] = [  # type: ignore[assignment]
                    {"logprob": top, "top_logprobs": [top, -3.0]}
                    for top in (-die.random() * (0.2 if right else 1.5) for _ in range(8))
                ]
        yield {
            "prompt": " ".join(words),
            "domain": kind[0] if domains else None,
            "outcomes": outcomes,
        }


def write_rows(
    path: Path, rows: int, *, seed: int = 0, tokens: bool = False, domains: bool = True
) -> Path:
    lines = (json.dumps(row) for row in made_rows(rows, seed=seed, tokens=tokens, domains=domains))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
