"""``deskmesh route train`` and ``route eval``, from files of outcomes to figures."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from mesh.cli.route import register
from mesh.errors import InvalidRequest
from tests.mesh.training.made import made_rows, write_rows

KEYS = {
    *("apgr", "cpt50", "cpt80", "random_apgr", "random_apgr_sd", "accuracy_weak"),
    *("accuracy_strong", "auc", "ece", "rows", "scoring_us_p50"),
}
PAIR = ("--weak", "weak", "--strong", "strong")


commands = typer.Typer()
register(commands)


@commands.callback()
def commands_have_names() -> None:
    """With one command alone typer would leave its name out."""


def route(*words: str | Path) -> Result:
    return CliRunner().invoke(commands, ["route", *map(str, words)])


def figures(*words: str | Path) -> dict[str, Any]:
    done = route("eval", *words, *PAIR, "--json")
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rows(tmp_path_factory.mktemp("outcomes") / "some.jsonl", 600, tokens=True)


def test_a_scorer_that_was_trained_routes_prompts_that_it_never_saw(
    data: Path, tmp_path: Path
) -> None:
    done = route("train", "--data", data, "--out", tmp_path / "s", "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["labels"]["weak"] == 600
    assert told["bytes"] < 300_000
    fresh = write_rows(tmp_path / "fresh", 400, seed=9, tokens=True)
    found = figures("--data", fresh, "--scorer", tmp_path / "s", "--signals")
    for view in (found, found["prompt_only"], found["confidence_only"], found["both"]):
        assert set(view) >= KEYS
    assert found["apgr"] > 0.5 + 3 * found["random_apgr_sd"]
    assert found["both"]["auc"] > found["prompt_only"]["auc"]
    assert found["notes"] == []
    overlapping = figures("--data", data, "--scorer", tmp_path / "s")
    assert "learned from 600 of these 600" in " ".join(overlapping["notes"])


@pytest.mark.parametrize(
    ("way", "rows"),
    [
        (("--folds", "3"), 600),
        (("--labels", "150", "--seeds", "2"), 450),
        (("--folds", "3", "--group-out", "domain"), 600),
    ],
)
def test_each_way_of_splitting_gives_every_figure(
    way: tuple[str, ...], rows: int, data: Path
) -> None:
    found = figures("--data", data, *way)
    assert set(found) >= KEYS
    assert found["rows"] == rows
    if "--group-out" not in way:
        assert found["apgr"] > 0.5 + 3 * found["random_apgr_sd"]


def test_signals_are_learned_within_the_splits(data: Path) -> None:
    found = figures("--data", data, "--folds", "2", "--signals")
    assert found["confidence_only"]["apgr"] > 0.55
    assert found["both"]["ece"] < 0.1


def test_a_person_reads_a_table(data: Path) -> None:
    done = route("eval", "--data", data, "--folds", "2", *PAIR)
    assert done.exit_code == 0
    assert "random_apgr_sd" in done.stdout
    assert "weak -> strong, 600 rows" in done.stdout


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--folds", "2", "--labels", "5"),
        ("--folds", "1"),
        ("--labels", "5", "--group-out", "domain"),
        ("--folds", "2", "--seeds", "3"),
    ],
)
def test_ways_that_contradict_each_other_are_wrong_usage(
    words: tuple[str, ...], data: Path
) -> None:
    assert route("eval", "--data", data, *PAIR, *words).exit_code == 2


def test_failures_say_what_and_where(data: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text("{}\n", encoding="utf-8")
    (tmp_path / "scorer").write_text("none", encoding="utf-8")
    for words, why in (
        (("--data", tmp_path / "bad.jsonl", "--folds", "2", *PAIR), "bad.jsonl line 1"),
        (("--data", data, "--scorer", tmp_path / "scorer", *PAIR), "is no scorer"),
        (("--data", data, "--folds", "2", "--weak", "x", "--strong", "strong"), "'x'"),
        (("--data", data, "--labels", "600", *PAIR), "leave nothing"),
    ):
        failure = route("eval", *words).exception
        assert isinstance(failure, InvalidRequest)
        assert why in failure.message
        assert failure.hint


def test_models_without_heads_and_without_tokens_are_told(tmp_path: Path) -> None:
    rows = [json.dumps(row) for row in made_rows(300)]
    (tmp_path / "plain").write_text("\n".join(rows), encoding="utf-8")
    found = figures("--data", tmp_path / "plain", "--scorer", "shipped")
    assert "weak has no head of its own" in found["notes"]
    done = route("eval", "--data", tmp_path / "plain", "--folds", "2", "--signals", *PAIR)
    assert isinstance(done.exception, InvalidRequest)
    assert "tokens" in done.exception.message


def test_a_failure_is_one_line_and_ends_with_1(tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text("{}\n", encoding="utf-8")
    words = ("route", "eval", "--data", tmp_path / "bad.jsonl", "--folds", "2", *PAIR)
    done = subprocess.run(
        [sys.executable, "-m", "mesh.cli.main", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1


def test_no_other_part_of_the_product_loads_numpy() -> None:
    script = "import sys, mesh.client, mesh.core.scorer, mesh.scorer_file, coordinator.desk\n"
    script += "from mesh.scorer_file import shipped_scorer; shipped_scorer()\n"
    script += "assert 'numpy' not in sys.modules, 'numpy is loaded'"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
