"""A series as a curve: where it goes, and which value doesn't belong."""

import re
from random import Random

from models.tasks.task import Sample, Task

_TREND = re.compile(r"Trend of this series: (\d+(?:, \d+){3,})")
_ODD = re.compile(r"Which value of this series is odd: (\d+(?:, \d+){3,})")

_NOISE_MAX = 2
_STEP_MIN = 5
_TREND_MIN = 10  # from first to last: more than noise alone, less than three of the least steps
_DISTANCE_MIN = 12  # of the odd value: clear of the noise around the others


def _generate_trend(rng: Random) -> Sample:
    values = rng.randint(4, 9)
    answer = rng.choice(("rising", "falling", "flat"))
    step = {"rising": 1, "falling": -1, "flat": 0}[answer] * rng.randint(_STEP_MIN, 20)
    start = rng.randint(_NOISE_MAX, 99) + max(0, -step * values)
    noisy = [start + step * index + rng.randint(-_NOISE_MAX, _NOISE_MAX) for index in range(values)]
    return Sample(f"Trend of this series: {', '.join(map(str, noisy))}", answer)


def _check_trend(prompt: str, answer: str) -> bool:
    match = _TREND.fullmatch(prompt)
    if match is None:
        return False
    series = [int(value) for value in match[1].split(", ")]
    rise = series[-1] - series[0]
    return answer == ("flat" if abs(rise) < _TREND_MIN else "rising" if rise > 0 else "falling")


def _generate_odd(rng: Random) -> Sample:
    """The odd value is as near as it may be in half of the samples, and far off in the others."""
    values, level = rng.randint(4, 9), rng.randint(60, 899)
    series = [level + rng.randint(-_NOISE_MAX, _NOISE_MAX) for _ in range(values)]
    distance = _DISTANCE_MIN + _NOISE_MAX + rng.randint(0, rng.choice((8, 40)))
    odd = level + rng.choice((-1, 1)) * distance
    series[rng.randrange(values)] = odd
    return Sample(f"Which value of this series is odd: {', '.join(map(str, series))}", str(odd))


def _check_odd(prompt: str, answer: str) -> bool:
    match = _ODD.fullmatch(prompt)
    if match is None:
        return False
    series = [int(value) for value in match[1].split(", ")]
    middle = sorted(series)[len(series) // 2]
    return [str(value) for value in series if abs(value - middle) >= _DISTANCE_MIN - 2] == [answer]


FAMILY = (
    Task(
        name="trend",
        domain="time_series",
        description="Whether a noisy series rises, falls or stays flat.",
        example="Trend of this series: 12, 19, 23, 31",
        generate=_generate_trend,
        check=_check_trend,
    ),
    Task(
        name="odd_value",
        domain="time_series",
        description="The one value of a series that lies off the others.",
        example="Which value of this series is odd: 52, 50, 51, 75, 50",
        generate=_generate_odd,
        check=_check_odd,
    ),
)
