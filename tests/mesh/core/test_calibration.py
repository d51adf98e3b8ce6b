"""A head that judges answers, as a file holds it."""

import json
import math
from typing import Any

import pytest

from mesh.core.calibration import INPUTS, LABELS_MIN, ConfidenceHead

COUNT = len(INPUTS)
HEAD = ConfidenceHead(
    means=(0.5,) * COUNT,
    scales=(2.0,) * COUNT,
    weights=(0.25,) * COUNT,
    bias=-1.0,
    labels=LABELS_MIN,
    steps=((0.1, 0.2), (0.9, 0.8)),
    thresholds={0.1: 0.7},
    tokens=24,
)


def test_what_was_written_is_read_again() -> None:
    assert ConfidenceHead.from_plain(json.loads(json.dumps(HEAD.to_plain()))) == HEAD


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("key", ["means", "scales", "weights", "bias", "steps", "thresholds"])
def test_a_number_that_is_none_is_refused(key: str, number: float) -> None:
    plain: dict[str, Any] = HEAD.to_plain()
    if key == "bias":
        plain[key] = number
    elif key in {"steps", "thresholds"}:
        plain[key] = [[0.1, number]]
    else:
        plain[key] = [number, *plain[key][1:]]
    with pytest.raises(ValueError, match="a number of it is none"):
        ConfidenceHead.from_plain(plain)
