"""How long a download waits."""

from datetime import UTC, datetime
from random import Random

import pytest

from mesh.pulling.pace import Pace, retry_after_s

NOW = datetime(2026, 11, 28, 10, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("said", "wait_s"),
    [
        ("7", 7.0),
        ("Sat, 28 Nov 2026 10:01:00 GMT", 60.0),
        ("Sat, 28 Nov 2026 09:00:00 GMT", 0.0),
        ("soon", None),
        ("", None),
        ("-5", None),
    ],
)
def test_retry_after_is_a_number_or_a_date(said: str, wait_s: float | None) -> None:
    assert retry_after_s({"retry-after": said}, NOW) == wait_s


def test_waits_double_up_to_a_bound_and_differ_between_machines() -> None:
    pace = Pace(wait_first_s=1.0, wait_most_s=30.0)
    for failures, most_s in ((1, 1.0), (3, 4.0), (6, 30.0), (1000, 30.0)):
        waits = [pace.wait_s(failures, Random(seed)) for seed in range(50)]
        assert most_s / 2 <= min(waits) < max(waits) <= most_s
