"""What the journal holds is read on, whole and in its order, whatever happened to its files."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from coordinator.ledger.journal import (
    CHUNK_BYTES,
    Chunk,
    Journal,
    Position,
    path_of,
    read_on,
    segments,
)
from coordinator.ledger.records import Opened, opened_row, write_opened
from tests.coordinator.ledger.played_requests import a_request


@pytest.fixture
def journal_folder(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def record(number: int) -> bytes:
    return write_opened(opened_row(a_request(f"r{number}"), number))


def write(journal: Journal, numbers: range) -> None:
    for number in numbers:
        journal.append(record(number))


def read_all(folder: Path, position: Position | None = None) -> tuple[list[int], list[Chunk]]:
    """Return the numbers of all records after ``position``, and the chunks they came in."""
    chunks = [read_on(folder, position or Position())]
    while chunks[-1].end != (chunks[-2].end if len(chunks) > 1 else position):
        chunks.append(read_on(folder, chunks[-1].end))
    found = [each for chunk in chunks for each in chunk.records]
    assert all(isinstance(each, Opened) for each in found)
    return [each.row["arrived_us"] for each in found], chunks


def damaged(chunks: list[Chunk]) -> int:
    return sum(chunk.damaged for chunk in chunks)


def test_records_come_back_in_their_order_from_many_segments(journal_folder: Path) -> None:
    journal = Journal(journal_folder, segment_bytes_max=1000)
    write(journal, range(50))
    assert len(segments(journal_folder)) > 5
    assert read_all(journal_folder)[0] == list(range(50))


def test_a_chunk_is_bounded_and_the_next_one_goes_on_behind_it(journal_folder: Path) -> None:
    journal = Journal(journal_folder)
    write(journal, range(1000))
    found, chunks = read_all(journal_folder)
    assert found == list(range(1000))
    assert len(chunks) > 3
    longest = max(len(chunk.records) for chunk in chunks)
    assert longest <= CHUNK_BYTES / len(record(999))


def test_half_a_record_at_the_end_is_one_that_comes(journal_folder: Path) -> None:
    journal = Journal(journal_folder)
    write(journal, range(2))
    [number] = segments(journal_folder)
    with path_of(journal_folder, number).open("ab") as file:
        file.write(b"01234567 half")
    found, chunks = read_all(journal_folder)
    assert (found, damaged(chunks)) == ([0, 1], 0)


def test_half_a_record_before_a_newer_segment_is_damage(journal_folder: Path) -> None:
    """It is what a crash leaves; the next process begins a segment of its own."""
    write(Journal(journal_folder), range(2))
    [number] = segments(journal_folder)
    with path_of(journal_folder, number).open("ab") as file:
        file.write(b"01234567 half")
    write(Journal(journal_folder), range(2, 4))
    found, chunks = read_all(journal_folder)
    assert (found, damaged(chunks)) == ([0, 1, 2, 3], 1)


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "a flipped bit": lambda line: line[:20] + bytes([line[20] ^ 1]) + line[21:],
    "zeros": lambda line: b"\0" * (len(line) - 1) + b"\n",
    "no sum": lambda line: b"rubbish\n",
    "nothing": lambda line: b"\n",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_record_is_passed_over_and_counted(
    journal_folder: Path, damage: Callable[[bytes], bytes]
) -> None:
    write(Journal(journal_folder), range(5))
    [number] = segments(journal_folder)
    lines = path_of(journal_folder, number).read_bytes().splitlines(keepends=True)
    lines[2] = damage(lines[2])
    path_of(journal_folder, number).write_bytes(b"".join(lines))
    found, chunks = read_all(journal_folder)
    assert (found, damaged(chunks)) == ([0, 1, 3, 4], 1)


def test_a_segment_of_rubbish_is_got_through(journal_folder: Path) -> None:
    journal_folder.mkdir()
    path_of(journal_folder, 5).write_bytes(os.urandom(3 * CHUNK_BYTES).replace(b"\n", b" "))
    write(Journal(journal_folder), range(3))
    found, chunks = read_all(journal_folder)
    assert found == [0, 1, 2]
    assert damaged(chunks) >= 1


def test_files_of_others_are_left_alone(journal_folder: Path) -> None:
    journal_folder.mkdir()
    for name in ("notes.txt", "x.journal", "²³.journal"):
        (journal_folder / name).touch()
    write(Journal(journal_folder), range(3))
    assert len(segments(journal_folder)) == 1
    assert read_all(journal_folder)[0] == [0, 1, 2]


def test_a_segment_that_somebody_removes_is_followed_by_another(journal_folder: Path) -> None:
    journal = Journal(journal_folder)
    write(journal, range(2))
    [gone] = segments(journal_folder)
    path_of(journal_folder, gone).unlink()
    write(journal, range(2, 4))
    assert read_all(journal_folder)[0] == [2, 3]
    assert segments(journal_folder) > [gone]


def test_what_cannot_be_written_waits_and_follows_in_its_order(
    journal_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal_folder.parent.joinpath("journal").write_text("a file is where the folder should be")
    journal = Journal(journal_folder)
    write(journal, range(600))
    assert (journal.waiting, journal.written, journal.dropped) == (600, 0, 0)
    assert "cannot be written" in journal.trouble
    assert [line.levelname for line in caplog.records] == ["WARNING"], "said once"
    assert not journal.retry(), "it still cannot be written"
    journal_folder.unlink()
    assert journal.retry(), "a few at a time"
    write(journal, range(600, 610))  # what comes meanwhile waits its turn
    while journal.retry():
        pass
    assert (journal.waiting, journal.written, journal.trouble) == (0, 610, "")
    assert read_all(journal_folder)[0] == list(range(610))


def test_what_waits_in_memory_is_bounded_and_what_is_lost_is_counted_and_told(
    journal_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal_folder.write_text("a file is where the folder should be")
    journal = Journal(journal_folder, waiting_bytes_max=10 * (len(record(99)) + 10))
    write(journal, range(10, 100))
    assert journal.dropped == 80
    assert journal.waiting == 10
    journal_folder.unlink()
    journal.retry()
    assert read_all(journal_folder)[0] == list(range(90, 100))
    assert "80 records did not fit" in caplog.records[-1].getMessage()
    assert journal.dropped == 80, "what is lost stays lost"


def test_a_journal_that_nobody_reads_grows_no_further_than_it_may(journal_folder: Path) -> None:
    journal = Journal(journal_folder, segment_bytes_max=1000, journal_bytes_max=5000)
    write(journal, range(100))
    held = sum(path_of(journal_folder, each).stat().st_size for each in segments(journal_folder))
    assert 5000 <= held <= 6000
    assert journal.waiting > 0
    assert "has not taken" in journal.trouble
    for number in segments(journal_folder):
        path_of(journal_folder, number).unlink()
    while journal.retry():
        pass
    assert journal.written + journal.waiting == 100
    assert journal.written > 5000 / 200
