"""What one process left behind, the next one reconciles: nothing twice, nothing open for ever."""

import shutil
from pathlib import Path

import pytest

from coordinator.ledger.journal import Position
from coordinator.ledger.store import Store
from tests.coordinator.ledger.conftest import NewLedger
from tests.coordinator.ledger.played_requests import (
    Clock,
    a_receipt,
    a_request,
    an_attempt,
    answer,
    rows,
    settled,
    states,
)


async def test_a_request_that_was_open_is_lost_at_the_next_start(
    new_ledger: NewLedger, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dying = new_ledger()
    async with dying.running():
        answer(dying)
        for _ in range(3):
            dying.request_arrived(a_request())
    assert states(folder) == {"answered": 1, "open": 3}
    ledger = new_ledger()
    async with ledger.running():
        assert states(folder) == {"answered": 1, "lost": 3}
        assert "3 requests were open when the coordinator ended" in caplog.text
        assert (ledger.today.requests, ledger.today.answered) == (4, 1)
        assert [(each.name, each.sums.requests) for each in ledger.today.failures()] == [
            ("lost", 3)
        ]
    async with new_ledger().running():
        assert states(folder) == {"answered": 1, "lost": 3}, "they are lost once"


async def test_what_only_the_journal_holds_is_moved_in_at_the_next_start(
    new_ledger: NewLedger, folder: Path
) -> None:
    """As after a ``kill -9``: the thread never came to it."""
    killed = new_ledger()
    for _ in range(5):
        answer(killed)
    killed.request_arrived(a_request())
    assert not (folder / "ledger.db").exists()
    ledger = new_ledger()
    async with ledger.running():
        assert states(folder) == {"answered": 5, "lost": 1}
        assert ledger.today.answered == 5


async def test_a_request_that_ended_without_a_beginning_has_its_row(
    new_ledger: NewLedger, folder: Path
) -> None:
    ledger = new_ledger()
    request = a_request()
    async with ledger.running():
        ledger.request_ended(request, a_receipt(request, an_attempt()), None)
    assert states(folder) == {"answered": 1}


async def test_a_journal_that_is_read_twice_counts_nothing_twice(
    new_ledger: NewLedger, folder: Path
) -> None:
    """As after a loss of power that took the store's last transactions, but not the journal."""
    ledger = new_ledger()
    async with ledger.running():
        for _ in range(5):
            answer(ledger)
    before = rows(folder, "SELECT * FROM rollups")
    store = Store(folder)
    store.apply((), Position())
    store.close()
    async with new_ledger().running():
        assert states(folder) == {"answered": 5}
        assert len(rows(folder, "SELECT * FROM attempts")) == 5
        assert rows(folder, "SELECT * FROM rollups") == before


async def test_the_journal_goes_when_its_rows_are_in_the_store(
    new_ledger: NewLedger, folder: Path
) -> None:
    for _ in range(4):
        ledger = new_ledger()
        async with ledger.running():
            answer(ledger)
            await settled(ledger)
    assert states(folder) == {"answered": 4}
    assert len(list((folder / "journal").iterdir())) == 1


async def test_todays_totals_are_known_again_and_yesterdays_are_not_in_them(
    new_ledger: NewLedger, clock: Clock
) -> None:
    ledger = new_ledger()
    async with ledger.running():
        answer(ledger, cost_microusd=100)
        assert ledger.spent_today_microusd == 100
        clock.now_s += 86_400
        assert ledger.spent_today_microusd == 0
        answer(ledger, cost_microusd=7)
    told: list[int] = []
    later = new_ledger()
    later.on_spent_known = told.append
    async with later.running():
        assert told == [7]
        answer(later, cost_microusd=5)
        assert (later.today.answered, later.spent_today_microusd) == (2, 12)
        [share] = later.today.places()
        assert (share.name, share.sums.requests, share.sums.prompt_tokens) == ("desk", 2, 20)


async def test_a_store_that_was_thrown_away_begins_anew(
    new_ledger: NewLedger, folder: Path
) -> None:
    ledger = new_ledger()
    async with ledger.running():
        answer(ledger)
    shutil.rmtree(folder)
    ledger = new_ledger()
    async with ledger.running():
        answer(ledger)
    assert states(folder) == {"answered": 1}


async def test_a_clock_that_was_set_back_loses_no_row(
    new_ledger: NewLedger, folder: Path, clock: Clock
) -> None:
    ledger = new_ledger()
    async with ledger.running():
        answer(ledger)
        clock.now_s -= 3 * 86_400
        answer(ledger)
    async with new_ledger().running():
        assert states(folder) == {"answered": 2}
