"""``deskmesh route train``: a scorer from one's own outcomes."""

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from mesh.cli.output import console, count, errors, print_json, size
from mesh.scorer_file import shipped_scorer, write_scorer

LICENCE = "Whose terms the outcomes come under; kept in the scorer."


def register(group: typer.Typer) -> None:
    group.command("train")(train)


def train(
    data: Annotated[list[Path], typer.Option("--data", help="Outcomes, JSON lines; repeatable.")],
    out: Annotated[Path, typer.Option("--out", help="The scorer's file to write.")],
    licence: Annotated[str, typer.Option("--licence", help=LICENCE)] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Learn from outcomes how likely each model's answer to a prompt is right."""
    from mesh.core.scorer import Source
    from mesh.training.learning import Ground, learn, seen_of
    from mesh.training.outcomes import read_outcomes

    outcomes = read_outcomes(data, with_signs=True)
    notes = list(outcomes.notes)
    shipped = shipped_scorer()
    # Rows that the prior has learned from would count twice.
    prior = None if seen_of(shipped, outcomes.rows).any() else shipped
    sources = [Source(", ".join(path.name for path in data), licence, len(outcomes.rows))]
    with Progress(console=errors, transient=True, disable=not errors.is_terminal) as progress:
        task = progress.add_task("learning", total=1.0)
        scorer = learn(
            Ground.of(outcomes),
            prior=prior,
            sources=sources,
            told=lambda share: progress.update(task, completed=share),
        )
    written_bytes = write_scorer(scorer, out)
    notes += [
        f"{model} has {labels} labels, too few to be trusted"
        for model, labels in scorer.labels.items()
        if model not in scorer.trusted
    ]
    if as_json:
        print_json(
            {
                "out": str(out),
                "bytes": written_bytes,
                "rows": len(outcomes.rows),
                "labels": dict(scorer.labels),
                "trusted": sorted(scorer.trusted),
                "confidence": {model: head.labels for model, head in scorer.confidence.items()},
                "from_shipped_prior": prior is not None,
                "notes": notes,
            }
        )
        return
    for note in notes:
        errors.print(note, style="yellow")
    console.print(
        f"{out}: {len(scorer.heads)} heads from {count(len(outcomes.rows))} prompts, "
        f"{size(written_bytes)}"
    )
