"""Ledgers in a folder of the test's own, with a clock that the test moves."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coordinator.ledger.ledger import Ledger
from tests.coordinator.ledger.played_requests import Clock

NewLedger = Callable[..., Ledger]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "ledger"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def new_ledger(folder: Path, clock: Clock) -> NewLedger:
    """Makes ledgers over the same folder, as one coordinator after the other does."""

    def make(**given: Any) -> Ledger:
        return Ledger(folder, **{"keep_days": 90, "clock": clock, **given})

    return make
