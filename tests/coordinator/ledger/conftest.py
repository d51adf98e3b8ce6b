"""Ledgers in a folder of the test's own, with a clock that the test moves."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coordinator.ledger.ledger import Ledger
from tests.coordinator.ledger.played_requests import Clock

RETRY_EVERY_S = 0.05

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
        usual: dict[str, Any] = {"keep_days": 90, "clock": clock, "retry_every_s": RETRY_EVERY_S}
        return Ledger(folder, **{**usual, **given})

    return make
