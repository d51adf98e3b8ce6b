"""The scorer on public labels: the tables of ``deskmesh route eval``, as any user gets them."""

import asyncio
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.progress import Progress
from bench.result import Figures
from mesh.errors import MeshError

KEYS = ("apgr", "random_apgr", "random_apgr_sd", "cpt50", "cpt80", "auc", "ece", "scoring_us_p50")


@dataclass(frozen=True, slots=True)
class Table:
    """One way to judge, on one file."""

    name: str
    test: str
    weak: str
    strong: str
    train: str = ""
    how: tuple[str, ...] = ()


_ULAB = ("ulab_test.jsonl.gz", "mistral-7b-instruct-v0.3", "llama-3.1-nemotron-51b-instruct")
_PRO = ("mmlu_pro_new.jsonl.gz", "Mistral-7B-Instruct-v0.2", "Meta-Llama-3.1-70B-Instruct")
TABLES = (
    Table("ulab", *_ULAB, train="ulab_train.jsonl.gz"),
    Table("mmlu_pro", *_PRO, how=("--folds", "5")),
    Table("mmlu_pro_foreign", *_PRO, how=("--folds", "5", "--group-out", "domain")),
)


async def public_tables(folder: Path, progress: Progress) -> Figures:
    """Return what each table says of routing between its two models, where its files are there."""
    figures: dict[str, float | int | None] = {}
    print("| labels | pair | " + " | ".join(KEYS) + " |")
    print("| --- " * (2 + len(KEYS)) + "|")
    for table in TABLES:
        missing = [
            name for name in (table.test, table.train) if name and not (folder / name).is_file()
        ]
        if missing:
            progress.say(f"{table.name} is left out: {folder} has no {missing[0]}")
            continue
        found = await _judged(folder, table)
        cells = [f"{found[key]:.3f}" if found[key] is not None else "-" for key in KEYS]
        print(f"| {table.name} | {table.weak}, {table.strong} | {' | '.join(cells)} |", flush=True)
        figures[f"{table.name}_apgr"] = found["apgr"]
        figures[f"{table.name}_random_apgr"] = found["random_apgr"]
        figures[f"{table.name}_random_apgr_sd"] = found["random_apgr_sd"]
    return figures


async def _judged(folder: Path, table: Table) -> dict[str, Any]:
    with TemporaryDirectory(prefix="deskmesh-ladder-") as name:
        how = table.how
        if table.train:
            scorer = str(Path(name) / "scorer.json.gz")
            await route("train", "--data", str(folder / table.train), "--out", scorer)
            how = ("--scorer", scorer)
        pair = ("--weak", table.weak, "--strong", table.strong)
        return await route("eval", "--data", str(folder / table.test), *pair, *how)


async def route(*arguments: str) -> dict[str, Any]:
    """Run ``deskmesh route``, and return its JSON."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "mesh.cli.main", "route", *arguments, "--json"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    told, failed = await process.communicate()
    if process.returncode:
        raise MeshError(f"route {arguments[0]} failed: {failed.decode()[-300:]}")
    found: dict[str, Any] = json.loads(told)
    return found
