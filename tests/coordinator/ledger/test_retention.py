"""Rows go after their days; what they added up to stays."""

from pathlib import Path

import pytest

from coordinator.ledger import today as today_module
from coordinator.ledger.reports import ROWS_MAX, Reports
from coordinator.ledger.today import Today
from coordinator.ledger.totals import DAY_S, HOUR_S, HOURS_KEPT_DAYS, day_of, of_state
from coordinator.ledger.writer import FORGOTTEN_AT_ONCE
from mesh.core.types import FailureCode
from tests.coordinator.ledger.conftest import NewLedger
from tests.coordinator.ledger.played_requests import (
    Clock,
    a_receipt,
    a_request,
    an_attempt,
    answer,
    fail,
    rows,
    states,
    until,
)


async def test_rows_are_removed_after_their_days_with_their_attempts_and_the_sums_stay(
    new_ledger: NewLedger, folder: Path, clock: Clock
) -> None:
    old = FORGOTTEN_AT_ONCE + 10
    ledger = new_ledger()
    async with ledger.running():
        for _ in range(old):
            answer(ledger)
        clock.now_s += DAY_S
        answer(ledger)
    clock.now_s += 89 * DAY_S + HOUR_S
    async with new_ledger(keep_days=90).running():
        await until(lambda: states(folder) == {"answered": 1})
    assert len(rows(folder, "SELECT * FROM attempts")) == 1
    totals, _ = await Reports(folder).totals(0.0)
    assert of_state(totals, "answered").requests == old + 1
    assert of_state(totals).completion_tokens == 5 * (old + 1)


async def test_hours_that_are_long_past_are_added_up_to_days(
    new_ledger: NewLedger, folder: Path, clock: Clock
) -> None:
    began_s = clock.now_s
    ledger = new_ledger()
    async with ledger.running():
        for _ in range(3):
            answer(ledger)
            clock.now_s += HOUR_S
    assert len(rows(folder, "SELECT DISTINCT hour_s FROM rollups")) == 3
    clock.now_s += (HOURS_KEPT_DAYS + 1) * DAY_S
    async with new_ledger().running():
        await until(lambda: len(rows(folder, "SELECT * FROM rollups")) == 1)
    totals, since_s = await Reports(folder).totals(began_s)
    assert since_s == day_of(began_s), "of so long ago, days are all that is known"
    assert of_state(totals).requests == 3


async def test_a_summary_begins_with_the_hour_that_was_asked_for(
    new_ledger: NewLedger, folder: Path
) -> None:
    clock = Clock(now_s=4_000_000_000 // HOUR_S * HOUR_S)  # later than any test runs
    ledger = new_ledger(clock=clock)
    async with ledger.running():
        for _ in range(3):
            answer(ledger)
            clock.now_s += HOUR_S
    totals, since_s = await Reports(folder).totals(clock.now_s - 2 * HOUR_S + 10)
    assert since_s == clock.now_s - 2 * HOUR_S
    assert of_state(totals).requests == 2


async def test_a_list_of_requests_is_bounded(new_ledger: NewLedger, folder: Path) -> None:
    ledger = new_ledger()
    async with ledger.running():
        for _ in range(ROWS_MAX + 5):
            answer(ledger)
    reports = Reports(folder)
    assert len(await reports.requests(limit=2**31)) == ROWS_MAX
    assert len(await reports.requests()) == 50


async def test_today_is_over_at_midnight(new_ledger: NewLedger, clock: Clock) -> None:
    ledger = new_ledger()
    async with ledger.running():
        late = a_request()
        ledger.request_arrived(late)
        answer(ledger)
        fail(ledger, FailureCode.OVERLOADED)
        assert (ledger.today.requests, ledger.today.answered) == (2, 1)
        assert [share.name for share in ledger.today.failures()] == ["overloaded"]
        clock.now_s += DAY_S
        assert ledger.today.requests == 0
        ledger.request_ended(late, a_receipt(late, an_attempt()), None)
        assert ledger.today.requests == 0, "it counts to the day on which it arrived"
        answer(ledger)
        assert [share.name for share in ledger.today.models()] == ["qwen"]
        clock.now_s -= DAY_S
        assert ledger.today.requests == 1, "a clock that is set back brings no day back"


def test_what_is_kept_of_a_day_is_bounded_and_nothing_is_missing_from_its_total(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(today_module, "GROUPS_MAX", 3)
    today = Today(0)
    for number in range(10):
        row = {
            "arrived_us": 1,
            "state": "answered",
            "failure": "",
            "place": f"desk-{number}",
            "served_model": "qwen",
            "tier": 2,
            "test_model": 0,
            "prompt_tokens": 1,
            "cached_tokens": 0,
            "completion_tokens": 1,
            "cost_microusd": 1,
        }
        today.count(row, now_s=1.0)
    assert len(today.totals) <= 4
    assert (today.requests, today.cost_microusd) == (10, 10)
    assert today.places()[0].name == "others"
