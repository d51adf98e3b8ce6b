"""What does not fit is told by its name, with what would."""

import math

import pytest

from mesh.errors import InvalidRequest
from mesh.numbers_given import UINT64_MAX, deadline_ms, whole, whole_or_none


@pytest.mark.parametrize("value", [-1, 2**64])
def test_a_number_out_of_range_is_named_with_its_range(value: int) -> None:
    with pytest.raises(InvalidRequest, match=f"seed {value} is out of range") as told:
        whole("seed", value, UINT64_MAX)
    assert told.value.hint == f"give 0 to {UINT64_MAX}"


def test_what_fits_is_taken_as_it_is() -> None:
    assert whole_or_none("seed", None) is None
    assert whole("seed", UINT64_MAX, UINT64_MAX) == UINT64_MAX
    assert (deadline_ms(0.0001), deadline_ms(2.5)) == (1, 2500)


@pytest.mark.parametrize("timeout_s", [math.nan, math.inf, 1e7])
def test_a_time_beyond_any_answers_is_refused(timeout_s: float) -> None:
    with pytest.raises(InvalidRequest, match=r"timeout_s .* is out of range"):
        deadline_ms(timeout_s)
