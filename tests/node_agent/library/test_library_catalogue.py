"""The library as the agent sees it: real folders, real files, real children where they matter."""

import asyncio
import json
import logging
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from pathlib import Path

import pytest

from mesh.core.types import ModelId
from node_agent.library import describe
from node_agent.library.catalogue import Library
from node_agent.library.child import describe_in_child
from node_agent.library.description import ChildLine, Fault, Outcome, Rejection
from node_agent.library.folder import FolderSource
from node_agent.library.found import FoundFile
from node_agent.library.knowledge import TRIES_MAX
from node_agent.library.view import LibraryView
from tests.node_agent.library.conftest import write_gguf


class Reader:
    """Counts what is read. Reads in this process unless ``child`` is set; ``before`` interferes."""

    def __init__(
        self, *, child: bool = False, before: Callable[[FoundFile], None] = lambda file: None
    ) -> None:
        self.read: list[str] = []
        self._child = child
        self._before = before

    async def __call__(self, file: FoundFile, on_progress: Callable[[int], None]) -> Outcome:
        self.read.append(file.path.name)
        self._before(file)
        if self._child:
            return await describe_in_child(file, on_progress)
        line = ChildLine.model_validate_json(json.dumps(describe.describe(file.paths, on_progress)))
        outcome = line.description or line.rejection
        assert outcome
        return outcome


@pytest.fixture
def cache_file(tmp_path: Path) -> Path:
    return tmp_path / "home" / "library.json"


@pytest.fixture
def open_library(models: Path, cache_file: Path) -> Callable[[Reader], Library]:
    """A library over the models folder, as a new process would open it."""
    return lambda reader: Library(
        [FolderSource(models)], cache_file, describe=reader, look_every_s=0.01
    )


OpenLibrary = Callable[[Reader], Library]


def names(view: LibraryView) -> list[str]:
    return [entry.model.name for entry in view.entries]


def waiting(view: LibraryView) -> list[str]:
    return [file.path.name for file in view.waiting]


async def next_view(views: AsyncGenerator[LibraryView, None]) -> LibraryView:
    return await asyncio.wait_for(anext(views), 20)


async def view_where(
    views: AsyncGenerator[LibraryView, None], holds: Callable[[LibraryView], bool]
) -> LibraryView:
    async with asyncio.timeout(20):
        async for view in views:
            if holds(view):
                return view
    raise AssertionError("the views ended")


async def test_a_folder_of_models_becomes_a_library(
    models: Path, open_library: OpenLibrary
) -> None:
    path = write_gguf(models / "Qwen2.5-0.5B-Instruct-Q8_0.gguf", name="Qwen2.5 0.5B Instruct")
    view = await open_library(Reader(child=True)).complete()
    (entry,) = view.entries
    assert entry.path == path
    assert entry.model.names == ("qwen2.5-0.5b-instruct", "Qwen2.5-0.5B-Instruct-Q8_0")
    assert entry.model.size_bytes == path.stat().st_size
    assert view.entry(entry.model.model_id) is entry
    assert not view.waiting
    assert not view.problems


async def test_no_file_is_hashed_twice(models: Path, open_library: OpenLibrary) -> None:
    write_gguf(models / "a.gguf", name="a")
    write_gguf(models / "b.gguf", name="b", seed=1)
    first, second = Reader(child=True), Reader(child=True)
    learned = await open_library(first).complete()
    remembered = await open_library(second).complete()
    assert sorted(first.read) == ["a.gguf", "b.gguf"]
    assert second.read == []
    assert remembered == learned


async def test_a_first_look_shows_what_was_known_and_starts_no_child(
    models: Path, open_library: OpenLibrary
) -> None:
    write_gguf(models / "old.gguf", name="old")
    await open_library(Reader()).complete()
    write_gguf(models / "new.gguf", name="new", seed=1)
    reader = Reader()
    view = await open_library(reader).scan()
    assert (names(view), waiting(view), reader.read) == (["old"], ["new.gguf"], [])


async def test_a_file_replaced_by_one_of_the_same_size_is_described_again(
    models: Path, open_library: OpenLibrary
) -> None:
    path = write_gguf(models / "a.gguf", seed=1)
    size_bytes = path.stat().st_size
    before = await open_library(Reader()).complete()
    write_gguf(path, seed=2)
    os.utime(path, ns=(0, 1))
    assert path.stat().st_size == size_bytes
    reader = Reader()
    after = await open_library(reader).complete()
    assert reader.read == ["a.gguf"]
    assert after.entries[0].model.model_id != before.entries[0].model.model_id


async def test_two_copies_are_one_model_with_two_files(
    models: Path, open_library: OpenLibrary
) -> None:
    write_gguf(models / "a.gguf", name="Tiny")
    write_gguf(models / "b.gguf", name="Tiny")
    (entry,) = (await open_library(Reader()).complete()).entries
    assert [file.path.name for file in entry.files] == ["a.gguf", "b.gguf"]
    assert entry.model.names == ("tiny", "a", "b")


@pytest.mark.parametrize("link", [os.symlink, os.link])
async def test_a_link_to_a_model_is_not_hashed_again(
    models: Path, open_library: OpenLibrary, link: Callable[[Path, Path], None]
) -> None:
    write_gguf(models / "a.gguf", name="Tiny")
    link(models / "a.gguf", models / "b.gguf")
    reader = Reader()
    (entry,) = (await open_library(reader).complete()).entries
    assert reader.read == ["a.gguf"]
    assert len(entry.files) == 2
    link(models / "a.gguf", models / "later.gguf")
    second = Reader()
    (entry,) = (await open_library(second).complete()).entries
    assert second.read == []
    assert len(entry.files) == 3


async def test_a_broken_file_is_one_problem_and_the_rest_is_served(
    models: Path, open_library: OpenLibrary, caplog: pytest.LogCaptureFixture
) -> None:
    write_gguf(models / "good.gguf", name="good")
    broken = write_gguf(models / "broken.gguf", seed=1)
    broken.write_bytes(broken.read_bytes()[:-7])
    library = open_library(Reader(child=True))
    view = await library.complete()
    assert names(view) == ["good"]
    (problem,) = view.problems
    assert problem.path == broken
    assert "truncated" in problem.reason
    assert len(problem.reason.splitlines()) == 1
    await library.complete()
    assert len(caplog.records) == 1  # said once, not at each look


async def test_a_broken_file_is_read_once_until_it_changes(
    models: Path, open_library: OpenLibrary
) -> None:
    (models / "a.gguf").write_bytes(b"GGUF nonsense")
    reader = Reader()
    library = open_library(reader)
    await library.complete()
    await library.complete()
    assert reader.read == ["a.gguf"]
    write_gguf(models / "a.gguf", name="mended")
    assert names(await library.complete()) == ["mended"]


async def test_an_adapter_is_ignored_without_alarm(
    models: Path, open_library: OpenLibrary, caplog: pytest.LogCaptureFixture
) -> None:
    write_gguf(models / "lora.gguf", kind="adapter")
    (problem,) = (await open_library(Reader()).complete()).problems
    assert problem.ignored
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_a_file_that_vanishes_during_the_scan_leaves_no_trace(
    models: Path, open_library: OpenLibrary
) -> None:
    write_gguf(models / "a.gguf", name="a")
    write_gguf(models / "b.gguf", name="b", seed=1, tensors=9)
    reader = Reader(before=lambda file: file.path.unlink() if file.path.name == "a.gguf" else None)
    view = await open_library(reader).complete()
    assert (names(view), view.problems, view.waiting) == (["b"], (), ())


async def test_a_download_is_not_hashed_at_each_look_but_once_it_rests(
    models: Path, open_library: OpenLibrary
) -> None:
    class Downloading(Reader):
        async def __call__(self, file: FoundFile, on_progress: Callable[[int], None]) -> Outcome:
            if self.read:
                return await super().__call__(file, on_progress)
            self.read.append(file.path.name)
            return Rejection(fault=Fault.CHANGING, reason="changes")

    path = write_gguf(models / "a.gguf", name="a")
    reader = Downloading()
    library = open_library(reader)
    for written in range(5):
        os.utime(path, ns=(0, written))
        view = await library.complete()
        assert [problem.reason for problem in view.problems] == ["changes"]
    assert len(reader.read) == 1
    assert names(await library.complete()) == ["a"]
    assert len(reader.read) == 2


async def test_a_child_that_fails_for_our_reasons_is_tried_a_few_times(
    models: Path, open_library: OpenLibrary
) -> None:
    class Failing(Reader):
        async def __call__(self, file: FoundFile, on_progress: Callable[[int], None]) -> Outcome:
            self.read.append(file.path.name)
            return Rejection(fault=Fault.AGAIN, reason="no memory")

    write_gguf(models / "a.gguf")
    reader = Failing()
    library = open_library(reader)
    for _ in range(TRIES_MAX + 2):
        view = await library.complete()
        assert [problem.reason for problem in view.problems] == ["no memory"]
    assert len(reader.read) == TRIES_MAX


async def test_the_smallest_model_is_ready_first(models: Path, open_library: OpenLibrary) -> None:
    write_gguf(models / "a.gguf", tensors=9)
    write_gguf(models / "b.gguf", tensors=1)
    reader = Reader()
    await open_library(reader).complete()
    assert reader.read == ["b.gguf", "a.gguf"]


async def test_test_models_come_last(models: Path, open_library: OpenLibrary) -> None:
    write_gguf(models / "a.gguf", name="a test", test=True, tasks=["sum"])
    write_gguf(models / "z.gguf", name="z real")
    view = await open_library(Reader()).complete()
    assert [(entry.model.name, entry.model.test) for entry in view.entries] == [
        ("z-real", False),
        ("a-test", True),
    ]


async def test_changes_are_told_as_they_happen(models: Path, open_library: OpenLibrary) -> None:
    write_gguf(models / "a.gguf", name="a")
    async with aclosing(open_library(Reader()).changes()) as views:
        assert waiting(await next_view(views)) == ["a.gguf"]
        assert names(await next_view(views)) == ["a"]
        write_gguf(models / "b.gguf", name="b", seed=1)
        assert names(await view_where(views, lambda view: len(view.entries) == 2)) == ["a", "b"]
        (models / "a.gguf").unlink()
        assert names(await view_where(views, lambda view: len(view.entries) == 1)) == ["b"]


async def test_a_library_that_rests_tells_nothing(models: Path, open_library: OpenLibrary) -> None:
    write_gguf(models / "a.gguf", name="a")
    async with aclosing(open_library(Reader()).changes()) as views:
        await view_where(views, lambda view: not view.waiting)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(views), 0.2)  # 20 looks


async def test_what_was_learned_outlives_a_cancelled_listener(
    models: Path, open_library: OpenLibrary
) -> None:
    write_gguf(models / "a.gguf", name="a")
    write_gguf(models / "b.gguf", name="b", seed=1, tensors=9)
    stuck = asyncio.Event()

    class StuckAtSecond(Reader):
        async def __call__(self, file: FoundFile, on_progress: Callable[[int], None]) -> Outcome:
            if self.read:
                stuck.set()
                await asyncio.Event().wait()
            return await super().__call__(file, on_progress)

    async def listen(library: Library) -> None:
        async with aclosing(library.changes()) as views:
            async for _ in views:
                pass

    library = open_library(StuckAtSecond())
    async with asyncio.TaskGroup() as tasks:
        listening = tasks.create_task(listen(library))
        await stuck.wait()
        listening.cancel()
    assert library.describing is None
    view = await open_library(Reader()).scan()
    assert (names(view), waiting(view)) == (["a"], ["b.gguf"])


async def test_progress_of_a_long_file_can_be_shown(
    models: Path, open_library: OpenLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(describe, "BLOCK_BYTES", 100)
    monkeypatch.setattr(describe, "PROGRESS_EVERY_BYTES", 100)
    path = write_gguf(models / "a.gguf")
    seen: list[tuple[Path, int]] = []

    class Watched(Reader):
        async def __call__(self, file: FoundFile, on_progress: Callable[[int], None]) -> Outcome:
            def watch(done_bytes: int) -> None:
                on_progress(done_bytes)
                assert library.describing
                seen.append((library.describing.file.path, library.describing.done_bytes))

            return await super().__call__(file, watch)

    library = open_library(Watched())
    await library.complete()
    assert seen[:2] == [(path, 100), (path, 200)]


async def test_a_cache_that_cannot_be_written_costs_nothing_but_time(
    models: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_gguf(models / "a.gguf", name="a")
    (tmp_path / "home").write_text("a file where the home should be")
    library = Library([FolderSource(models)], tmp_path / "home" / "library.json", describe=Reader())
    assert names(await library.complete()) == ["a"]
    write_gguf(models / "b.gguf", name="b", seed=1)
    assert names(await library.complete()) == ["a", "b"]
    assert len([record for record in caplog.records if "cannot keep" in record.message]) == 1


async def test_a_file_on_an_unplugged_disk_stays_known(
    models: Path, open_library: OpenLibrary
) -> None:
    write_gguf(models / "a.gguf", name="a")
    await open_library(Reader()).complete()
    (models / "a.gguf").rename(models.with_name("away"))
    write_gguf(models / "b.gguf", name="b", seed=1)
    assert names(await open_library(Reader()).complete()) == ["b"]
    (models / "b.gguf").unlink()
    models.with_name("away").rename(models / "a.gguf")
    reader = Reader()
    assert names(await open_library(reader).complete()) == ["a"]
    assert reader.read == []


async def test_only_a_file_that_still_is_the_model_is_given_to_an_engine(
    models: Path, open_library: OpenLibrary
) -> None:
    write_gguf(models / "a.gguf", name="Tiny")
    write_gguf(models / "b.gguf", name="Tiny")
    library = open_library(Reader())
    (entry,) = (await library.complete()).entries
    model_id = entry.model.model_id
    assert library.file_of(model_id) == models / "a.gguf"
    os.utime(models / "a.gguf", ns=(0, 1))
    assert library.file_of(model_id) == models / "b.gguf"
    (models / "b.gguf").unlink()
    assert library.file_of(model_id) is None
    assert library.file_of(ModelId("unknown")) is None


async def test_folders_inside_each_other_give_each_file_once(
    models: Path, cache_file: Path
) -> None:
    (models / "inside").mkdir()
    write_gguf(models / "inside" / "a.gguf", name="a")
    sources = [FolderSource(models), FolderSource(models / "inside")]
    view = await Library(sources, cache_file, describe=Reader()).complete()
    assert [len(entry.files) for entry in view.entries] == [1]
