"""What loads took outlives the agent, and never its engine."""

from pathlib import Path

import pytest

from mesh.core.types import ModelId
from mesh.settings import NodeSettings
from node_agent.loads_known import MODELS_MAX, LoadKnown, LoadsKnown, engine_build
from node_agent.shelf import Shelf
from node_agent.slot import Slot
from tests.node_agent.played_engines import Engines, entry, library
from tests.node_agent.played_time import run

MODEL = entry("echo")
ID = MODEL.model.model_id
SLOW = LoadKnown(off=1.25, gpu_off=0.75, load_s=40.0)


def written(file: Path, known: LoadKnown = SLOW, build: str = "one") -> LoadsKnown:
    loads = LoadsKnown(file, build)
    assert loads.learn(ID, known)
    loads.write(loads.as_text())
    return loads


def test_what_was_learned_is_known_to_the_next_agent(tmp_path: Path) -> None:
    written(tmp_path / "loads.json")
    known = LoadsKnown(tmp_path / "loads.json", "one")
    assert known.of(ID) == SLOW
    shelf = Shelf(Engines().load, NodeSettings(), known=known, free_memory=lambda: 1 << 40)

    async def show() -> None:
        shelf.show(library(MODEL))

    run(show())
    [(_, status)] = shelf.statuses()
    assert status.load_s == 40.0
    plain = Shelf(Engines().load, NodeSettings(), free_memory=lambda: 1 << 40)
    assert shelf._new_replica(MODEL).footprint.off == 1.25
    assert plain._new_replica(MODEL).footprint.off == 1.0


def test_another_build_of_the_engine_learns_anew(tmp_path: Path) -> None:
    written(tmp_path / "loads.json")
    assert LoadsKnown(tmp_path / "loads.json", "another").of(ID) is None
    assert engine_build() == engine_build() != ""


def test_a_load_is_kept_as_soon_as_it_is_warm(tmp_path: Path) -> None:
    file = tmp_path / "loads.json"

    async def play() -> None:
        known = LoadsKnown(file, "one")
        engines = Engines()
        shelf = Shelf(engines.load, NodeSettings(), known=known, free_memory=lambda: 1 << 40)
        shelf.show(library(MODEL))
        async with shelf.running():
            slot = shelf.take(ID)
            assert isinstance(slot, Slot)
            await slot.engine()
            slot.free()
        known.write(known.as_text())

    run(play())
    kept = LoadsKnown(file, "one").of(ID)
    assert kept is not None
    assert kept.off == 1.0


def test_the_same_again_is_not_written() -> None:
    loads = LoadsKnown(Path("nowhere"), "one")
    assert loads.learn(ID, SLOW)
    assert not loads.learn(ID, SLOW)
    assert not LoadsKnown().learn(ID, SLOW), "without a file nothing is"


def test_what_is_kept_is_bounded_and_the_oldest_is_forgotten() -> None:
    loads = LoadsKnown()
    for number in range(MODELS_MAX + 1):
        loads.learn(ModelId(f"{number:064}"), SLOW)
    assert loads.of(ModelId(f"{0:064}")) is None
    assert loads.of(ModelId(f"{MODELS_MAX:064}")) == SLOW


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"build": "one", "models": {"x": {"off": 9.0, "gpu_off": 1.0, "load_s": 1.0}}}',
        '{"build": "one", "models": 3}',
        "[" * 100_000,
    ],
)
def test_a_damaged_file_is_as_good_as_none(content: str, tmp_path: Path) -> None:
    file = tmp_path / "loads.json"
    file.write_text(content, encoding="utf-8")
    assert LoadsKnown(file, "one").of(ID) is None
    assert written(file).of(ID) == SLOW


def test_a_disk_that_refuses_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    loads = LoadsKnown(tmp_path / "file" / "loads.json", "one")
    for _ in range(2):
        loads.write(loads.as_text())
    assert len([each for each in caplog.records if "cannot keep" in each.message]) == 1
