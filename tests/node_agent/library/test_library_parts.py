"""A model that is split over several files: one model, whole or not at all."""

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from mesh.model_note import part_name
from node_agent.engine.supervisor import EngineProcess
from node_agent.library.catalogue import Library
from node_agent.library.folder import FolderSource
from tests.node_agent.engine.gguf_files import RandomModel
from tests.node_agent.library.conftest import write_gguf


@pytest.fixture
def parts(models: Path) -> list[Path]:
    """A model of five tensors in three files."""
    write_gguf(models / "big.gguf", name="Big One", tensors=5, split_max_tensors=2)
    return sorted(models.iterdir())


def library(models: Path, tmp_path: Path) -> Library:
    return Library([FolderSource(models)], tmp_path / "cache.json")


async def test_the_parts_are_one_model_whose_sha256_is_that_of_all_bytes_in_order(
    models: Path, parts: list[Path], tmp_path: Path
) -> None:
    assert [path.name for path in parts] == [part_name("big", each, 3) for each in (1, 2, 3)]
    view = await library(models, tmp_path).complete()
    (entry,) = view.entries
    whole = b"".join(path.read_bytes() for path in parts)
    assert entry.model.identity.sha256 == hashlib.sha256(whole).hexdigest()
    assert entry.model.size_bytes == len(whole)
    assert entry.model.parameters == 5 * 64
    assert entry.model.names == ("big-one", "big")
    assert view.problems == ()


async def test_a_part_that_changed_is_noticed_before_an_engine_loads_it(
    models: Path, parts: list[Path], tmp_path: Path
) -> None:
    known = library(models, tmp_path)
    (entry,) = (await known.complete()).entries
    assert known.file_of(entry.model.model_id) == parts[0]
    status = parts[1].stat()  # older than another part, of the same size: only its time tells
    os.utime(parts[1], ns=(status.st_atime_ns, status.st_mtime_ns - 10**9))
    assert known.file_of(entry.model.model_id) is None
    parts[1].unlink()
    assert known.file_of(entry.model.model_id) is None


async def test_what_was_learned_of_the_parts_is_kept(
    models: Path, parts: list[Path], tmp_path: Path
) -> None:
    first = await library(models, tmp_path).complete()
    again = await library(models, tmp_path).scan()
    assert (again.waiting, again.entries) == ((), first.entries)


async def test_parts_of_two_models_are_no_model(
    models: Path, parts: list[Path], tmp_path: Path
) -> None:
    shutil.copy(parts[0], parts[2])
    view = await library(models, tmp_path).complete()
    (problem,) = view.problems
    assert "big-00003-of-00003.gguf is part 1 of 3" in problem.reason
    write_gguf(parts[2], name="No part")
    (problem,) = (await library(models, tmp_path).complete()).problems
    assert "is no part of a model" in problem.reason


async def test_a_truncated_part_is_a_problem(
    models: Path, parts: list[Path], tmp_path: Path
) -> None:
    parts[1].write_bytes(parts[1].read_bytes()[:40])
    view = await library(models, tmp_path).complete()
    assert view.entries == ()
    assert "truncated" in view.problems[0].reason


async def test_its_memory_is_foretold_from_the_tensors_of_all_parts(
    models: Path, tmp_path: Path
) -> None:
    RandomModel(split_max_tensors=5).write(models / "split.gguf")
    (tmp_path / "one").mkdir()
    RandomModel().write(tmp_path / "one" / "whole.gguf")
    (split,) = (await library(models, tmp_path).complete()).entries
    (whole,) = (await library(tmp_path / "one", tmp_path).complete()).entries
    assert split.shape == whole.shape


async def test_the_engine_loads_all_parts_by_the_path_of_the_first(
    models: Path, tmp_path: Path
) -> None:
    RandomModel(name="Split", split_max_tensors=5).write(models / "split.gguf")
    known = library(models, tmp_path)
    (entry,) = (await known.complete()).entries
    assert len(entry.files[0].paths) > 2
    path = known.file_of(entry.model.model_id)
    assert path is not None
    engine = await EngineProcess.start(path, context_tokens=256, slots=1, threads=1, niceness=5)
    try:
        assert engine.info.context_tokens == 256
    finally:
        await engine.close()
