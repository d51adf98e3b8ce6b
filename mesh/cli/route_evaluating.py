"""``deskmesh route eval``: how well prompts would be shared out between two models."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from mesh.cli.output import console, errors, print_json
from mesh.errors import InvalidRequest
from mesh.scorer_file import read_scorer, shipped_scorer

if TYPE_CHECKING:
    from mesh.core.scorer import Scorer
    from mesh.training.evaluating import Figures, Pair
    from mesh.training.learning import Ground

SEED = 0  # of the folds; --seeds counts up from it
SHIPPED = "shipped"
HOW = "say one of --scorer, --folds or --labels"


class Group(StrEnum):
    """What is kept out as a whole."""

    DOMAIN = "domain"


@dataclass(frozen=True, slots=True)
class Way:
    """How rows are parted into those that are learned from and those that are judged."""

    folds: int
    group_out: Group | None
    labels: int
    seeds: int


def register(group: typer.Typer) -> None:
    group.command("eval")(evaluate)


def evaluate(  # noqa: PLR0913, PLR0917 - each is an option of the command
    data: Annotated[list[Path], typer.Option("--data", help="Outcomes, JSON lines; repeatable.")],
    weak: Annotated[str, typer.Option("--weak", help="The model that answers by default.")],
    strong: Annotated[str, typer.Option("--strong", help="The model that costs more.")],
    scorer: Annotated[
        str, typer.Option("--scorer", help="Judge this scorer; `shipped` is deskmesh's own.")
    ] = "",
    folds: Annotated[
        int, typer.Option("--folds", min=0, max=100, help="Cross-validate, by prompt.")
    ] = 0,
    group_out: Annotated[
        Group | None, typer.Option("--group-out", help="With --folds: keep whole domains out.")
    ] = None,
    labels: Annotated[
        int, typer.Option("--labels", min=0, help="Learn from so many random rows, judge the rest.")
    ] = 0,
    seeds: Annotated[
        int,
        typer.Option("--seeds", min=1, max=100, help="With --labels: the mean of so many draws."),
    ] = 1,
    signs: Annotated[
        bool, typer.Option("--signals", help="Judge by the weak answers' tokens, too.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare routing with the weak model alone, the strong one alone, and chance."""
    ways = [bool(scorer), bool(folds), bool(labels)]
    if sum(ways) != 1:
        raise typer.BadParameter(HOW)
    if folds == 1:
        raise typer.BadParameter("one fold leaves nothing to learn from", param_hint="--folds")
    if (group_out and not folds) or (seeds > 1 and not labels):
        raise typer.BadParameter("--group-out goes with --folds, --seeds with --labels")
    if weak == strong:
        raise typer.BadParameter("--weak and --strong name the same model")
    ground, notes = _ground(data, weak, strong, signs=signs)
    if scorer:
        found, pair = _of_scorer(ground, scorer, notes, signs=signs)
    else:
        found, pair = _of_splits(ground, Way(folds, group_out, labels, seeds), notes, signs=signs)
    for figures in found.values():
        figures["scoring_us_p50"] = pair.scoring_us_p50(ground.rows)
    _show(found, weak, strong, notes, as_json=as_json)


def _ground(data: list[Path], weak: str, strong: str, *, signs: bool) -> "tuple[Ground, list[str]]":
    from mesh.training.learning import Ground
    from mesh.training.outcomes import Outcomes, read_outcomes

    outcomes = read_outcomes(data, with_signs=signs)
    notes = list(outcomes.notes)
    for model in (weak, strong):
        if not any(model in row.scores for row in outcomes.rows):
            raise InvalidRequest(
                f"no row has an outcome of {model[:80]!r}",
                hint=f"there are: {', '.join(outcomes.models)[:300]}",
            )
    both = outcomes.with_all_of((weak, strong))
    if signs:
        both = Outcomes([row for row in both.rows if weak in row.signs], both.notes)
    if not both.rows:
        lacks = f"an answer of {weak} with `tokens`" if signs else "outcomes of both models"
        raise InvalidRequest(f"no row has {lacks}", hint="give other --data")
    if len(both.rows) < len(outcomes.rows):
        notes.append(
            f"{len(outcomes.rows) - len(both.rows)} rows lack one of the two, and are left out"
        )
    ground = Ground.of(both, (weak, strong))
    for place, model in enumerate((weak, strong)):
        if len(set(ground.scores[:, place])) == 1:
            notes.append(f"all answers of {model} are worth the same: nothing can be learned of it")
    return ground, notes


def _of_scorer(
    ground: "Ground", named: str, notes: list[str], *, signs: bool
) -> "tuple[dict[str, Figures], Pair]":
    import numpy as np

    from mesh.training.evaluating import Pair, generic_only, looked_at
    from mesh.training.learning import seen_of

    scorer = shipped_scorer() if named == SHIPPED else read_scorer(Path(named))
    weak, strong = ground.models
    seen = seen_of(scorer, ground.rows)
    if seen.any():
        notes.append(
            f"the scorer has learned from {seen.sum()} of these {len(seen)} prompts; what it says "
            "of them is no evidence: see unseen_apgr"
        )
    notes += [f"{model} has no head of its own" for model in generic_only(scorer, weak, strong)]
    pair = Pair.of(scorer, weak, strong)
    every = looked_at(pair, ground, np.arange(len(seen)), signs=signs)
    views = {what: judged.figures() for what, judged in every.items()}
    if seen.any() and not seen.all():
        for what, judged in every.items():
            unseen = judged.of(~seen).figures()
            views[what] |= {
                f"unseen_{key}": unseen[key] for key in ("apgr", "random_apgr_sd", "rows")
            }
    return views, pair


def _of_splits(
    ground: "Ground", way: Way, notes: list[str], *, signs: bool
) -> "tuple[dict[str, Figures], Pair]":
    from mesh.training import splits
    from mesh.training.evaluating import Judged, judged_on_splits, mean_figures

    prior = _prior(ground, notes)
    if way.labels:
        drawn = (
            splits.random_labels(ground.rows, way.labels, seed=SEED + each)
            for each in range(way.seeds)
        )
        found, pair = judged_on_splits(ground, drawn, prior, signs=signs)
        views = {
            what: mean_figures(
                [judged[what].figures(seed=seed) for seed, judged in enumerate(found)]
            )
            for what in found[0]
        }
        return views, pair
    split = splits.folds_without_domain if way.group_out else splits.folds
    found, pair = judged_on_splits(
        ground, split(ground.rows, way.folds, seed=SEED), prior, signs=signs
    )
    return {
        what: Judged.joined([judged[what] for judged in found]).figures() for what in found[0]
    }, pair


def _prior(ground: "Ground", notes: list[str]) -> "Scorer | None":
    """The shipped heads, unless they have seen any of these prompts: then they are no prior."""
    from mesh.training.learning import seen_of

    shipped = shipped_scorer()
    seen = int(seen_of(shipped, ground.rows).sum())
    if not seen:
        return shipped
    notes.append(f"the shipped scorer has seen {seen} of these prompts: learned without it")
    return None


def _show(
    found: "Mapping[str, Figures]", weak: str, strong: str, notes: list[str], *, as_json: bool
) -> None:
    prompt_only = found["prompt_only"]
    if as_json:
        whole: dict[str, Any] = {"weak": weak, "strong": strong, **prompt_only, "notes": notes}
        if len(found) > 1:
            whole |= found
        print_json(whole)
        return
    for note in notes:
        errors.print(note, style="yellow")
    console.print(f"{weak} -> {strong}, {prompt_only['rows']} rows")
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("")
    for what in found:
        table.add_column(what.replace("_", " "), justify="right")
    for key in prompt_only:
        if key != "rows":
            table.add_row(key, *(_number(figures.get(key)) for figures in found.values()))
    console.print(table)


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"
