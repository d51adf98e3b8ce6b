"""What people write for a time is the time they mean, or is refused."""

from datetime import UTC, datetime

import pytest
import typer

from mesh.cli.ledger import moment

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("since", "meant"),
    [
        ("30m", datetime(2026, 3, 31, 11, 30, tzinfo=UTC)),
        ("24h", datetime(2026, 3, 30, 12, tzinfo=UTC)),
        ("7d", datetime(2026, 3, 24, 12, tzinfo=UTC)),
        ("4w", datetime(2026, 3, 3, 12, tzinfo=UTC)),
        ("2026-01-31", datetime(2026, 1, 31)),
        ("2026-01-31T18:00", datetime(2026, 1, 31, 18)),
        ("2026-01-31T18:00+02:00", datetime(2026, 1, 31, 16, tzinfo=UTC)),
    ],
)
def test_a_time_is_understood(since: str, meant: datetime) -> None:
    assert moment(since, NOW) == meant.timestamp()


def test_no_time_leaves_the_choice_to_the_coordinator() -> None:
    assert moment("") == 0


def test_a_time_before_all_counting_is_the_beginning() -> None:
    assert moment("0001-06-01T00:00+00:00") == 0


@pytest.mark.parametrize("since", ["yesterday", "7", "-7d", "7 d", "d", "9999999d", "2026-13-01"])
def test_what_is_no_time_is_refused_with_what_would_be(since: str) -> None:
    with pytest.raises(typer.BadParameter, match=r"is no time\. Say 30m, 24h, 7d"):
        moment(since, NOW)
