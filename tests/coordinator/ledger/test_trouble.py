"""A store that is locked, full, read-only or damaged stops no answer, and the rows follow."""

import logging
import os
import resource
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from coordinator.ledger.ledger import Ledger
from tests.coordinator.ledger.conftest import RETRY_EVERY_S, NewLedger
from tests.coordinator.ledger.disk import Disk, mounted
from tests.coordinator.ledger.played_requests import (
    Clock,
    answer,
    rows,
    settled,
    states,
    until,
)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Another process has begun to write, and takes its time."""
    connection = sqlite3.connect(folder / "ledger.db", isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        connection.close()


@contextmanager
def small_files(size_bytes: int) -> Iterator[None]:
    """No file of this process may become larger: what a quota does, and a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
async def disk(tmp_path: Path) -> AsyncIterator[Disk]:
    with mounted(tmp_path / "disk") as mounted_disk:
        yield mounted_disk


@asynccontextmanager
async def on_disk(disk: Disk, clock: Clock) -> AsyncIterator[Ledger]:
    """Run a ledger on the disk; it has told once that it works."""
    ledger = Ledger(disk.root / "ledger", keep_days=90, clock=clock, retry_every_s=RETRY_EVERY_S)
    async with ledger.running():
        answer(ledger)
        await settled(ledger)
        yield ledger


@pytest.fixture(autouse=True)
def as_told(caplog: pytest.LogCaptureFixture) -> None:
    """A coordinator logs what informs, too."""
    caplog.set_level(logging.INFO)


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the operator read of it."""
    return [
        line.getMessage() for line in caplog.records if line.name.startswith("coordinator.ledger")
    ]


async def test_rows_wait_for_a_locked_store_and_follow(
    new_ledger: NewLedger, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = new_ledger()
    async with ledger.running():
        answer(ledger)
        await settled(ledger)
        with locked(folder):
            for _ in range(20):
                answer(ledger)
            await until(lambda: ledger.trouble)
            assert ledger.trouble == "another process holds a lock on it"
            assert ledger.rows_waiting == 40
            assert ledger.today.answered == 21, "what happened is known all the same"
        await settled(ledger)
        assert ledger.trouble == ""
    assert states(folder) == {"answered": 21}
    assert ledger.records_lost == 0
    first, last = told(caplog)
    assert "cannot take rows: another process holds a lock on it; answers go on" in first
    assert "takes rows again" in last


async def test_a_ledger_starts_beside_a_locked_store_and_knows_today_when_it_is_free(
    new_ledger: NewLedger, folder: Path
) -> None:
    before = new_ledger()
    async with before.running():
        answer(before, cost_microusd=30)
    spent: list[int] = []
    ledger = new_ledger()
    ledger.on_spent_known = spent.append
    async with AsyncExitStack() as stack:
        with locked(folder):
            await stack.enter_async_context(ledger.running())
            assert (spent, ledger.today.restored) == ([], False)
        await until(lambda: spent)
        assert spent == [30]
        answer(ledger, cost_microusd=4)
        assert ledger.spent_today_microusd == 34
    assert states(folder) == {"answered": 2}


async def test_what_comes_while_a_store_is_locked_to_the_end_is_in_it_after_the_next_start(
    new_ledger: NewLedger, folder: Path
) -> None:
    ledger = new_ledger()
    async with ledger.running():
        answer(ledger)
        await settled(ledger)
        stack = ExitStack()
        stack.enter_context(locked(folder))
        answer(ledger)
    stack.close()
    async with new_ledger().running():
        assert states(folder) == {"answered": 2}


async def test_rows_wait_for_a_full_disk_and_follow(
    disk: Disk, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    async with on_disk(disk, clock) as ledger:
        disk.fill()
        for _ in range(200):
            answer(ledger)
        assert "cannot be written" in ledger.trouble
        assert ledger.today.answered == 201
        disk.make_room()
        await settled(ledger)
        assert states(ledger.folder) == {"answered": 201}
        assert ledger.records_lost == 0
    assert 2 <= len(told(caplog)) <= 4, "journal and store, each once when it began and ended"


async def test_rows_wait_where_files_may_not_grow_and_follow(
    new_ledger: NewLedger, folder: Path
) -> None:
    ledger = new_ledger()
    async with ledger.running():
        answer(ledger)
        await settled(ledger)
        with small_files(4096):
            for _ in range(50):
                answer(ledger)
            await until(lambda: ledger.trouble)
        await settled(ledger)
    assert states(folder) == {"answered": 51}


async def test_rows_wait_for_a_read_only_disk_and_follow(disk: Disk, clock: Clock) -> None:
    async with on_disk(disk, clock) as ledger:
        folder = ledger.folder
    disk.make_read_only()
    ledger = Ledger(folder, keep_days=90, clock=clock, retry_every_s=RETRY_EVERY_S)
    async with ledger.running():
        for _ in range(20):
            answer(ledger)
        assert "cannot be written: Read-only file system" in ledger.trouble
        disk.make_writable()
        await settled(ledger)
    assert states(folder) == {"answered": 21}


def overwrite(store: Path) -> None:
    store.write_bytes(b"no database at all" * 1000)


def scramble(store: Path) -> None:
    data = bytearray(store.read_bytes())
    data[100:] = b"\xff" * (len(data) - 100)
    store.write_bytes(data)


@pytest.mark.parametrize("damage", [overwrite, scramble])
async def test_rows_wait_until_a_damaged_store_is_moved_away(
    new_ledger: NewLedger, folder: Path, damage: Callable[[Path], None]
) -> None:
    async with new_ledger().running():
        pass
    damage(folder / "ledger.db")
    ledger = new_ledger()
    async with ledger.running():
        answer(ledger)
        await until(lambda: ledger.trouble)
        assert "move it away, or put a backup in its place" in ledger.trouble
        (folder / "ledger.db").rename(folder / "damaged.db")
        await settled(ledger)
    assert states(folder) == {"answered": 1}


async def test_a_store_that_is_moved_away_under_way_is_begun_anew(
    new_ledger: NewLedger, folder: Path
) -> None:
    ledger = new_ledger()
    async with ledger.running():
        answer(ledger)
        await settled(ledger)
        for name in ("ledger.db", "ledger.db-wal", "ledger.db-shm"):
            os.unlink(folder / name)
        answer(ledger)
        await until(lambda: states(folder) == {"answered": 2})


async def test_a_store_that_a_newer_deskmesh_wrote_is_not_touched(
    new_ledger: NewLedger, folder: Path
) -> None:
    async with new_ledger().running():
        pass
    connection = sqlite3.connect(folder / "ledger.db")
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    ledger = new_ledger()
    async with ledger.running():
        answer(ledger)
        await until(lambda: ledger.trouble)
        assert "a newer deskmesh wrote it (schema 9999" in ledger.trouble
    assert rows(folder) == []


async def test_a_record_that_no_table_takes_is_left_out_and_counted(
    new_ledger: NewLedger, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It must not hold up all that come after it."""
    ledger = new_ledger()
    async with ledger.running():
        answer(ledger)
        answer(ledger, total_s=1e40)  # more microseconds than a column holds
        answer(ledger)
        await settled(ledger)
        assert states(folder) == {"answered": 2, "open": 1}
        assert ledger.records_lost == 1
        assert ledger.trouble == ""
    assert "a bug of ours" in caplog.text


async def test_a_folder_that_is_removed_under_way_is_made_again(
    new_ledger: NewLedger, folder: Path
) -> None:
    ledger = new_ledger()
    async with ledger.running():
        answer(ledger)
        await settled(ledger)
        shutil.rmtree(folder)
        answer(ledger)
        await until(lambda: states(folder) == {"answered": 1})
