"""The next value of a series: periodic, even steps, or both at once."""

import re
from itertools import pairwise
from random import Random

from models.tasks.task import Sample, Task

_PROMPT = re.compile(r"Next value of this series: (\d+(?:, \d+){3,})")


def _sample(series: list[int]) -> Sample:
    *shown, following = map(str, series)
    return Sample(f"Next value of this series: {', '.join(shown)}", following)


def _read(prompt: str) -> list[int]:
    match = _PROMPT.fullmatch(prompt)
    return [] if match is None else [int(value) for value in match[1].split(", ")]


def _generate_periodic(rng: Random) -> Sample:
    """Show a pattern of two to four different values twice, and a part of it again."""
    period = rng.randint(2, 4)
    pattern = rng.sample(range(1, 100), k=period)
    return _sample(
        [pattern[index % period] for index in range(2 * period + rng.randint(1, period))]
    )


def _lag(series: list[int]) -> int | None:
    """Return the least distance of two to four after which all values come again."""
    for lag in (2, 3, 4):
        if series[lag:] == series[:-lag] and len(series) >= 2 * lag:
            return lag
    return None


def _check_periodic(prompt: str, answer: str) -> bool:
    series = _read(prompt)
    lag = _lag(series) if len(set(series)) > 1 else None
    return lag is not None and answer == str(series[-lag])


def _generate_steps(rng: Random) -> Sample:
    """Start below 100 and go up or down by one to nine, or, in half of them, by up to 29."""
    values, step = rng.randint(5, 7), rng.randint(1, rng.choice((9, 29)))
    start = rng.randint(1, 99)
    rising = [start + step * index for index in range(values)]
    return _sample(rising if rng.random() < 0.5 else rising[::-1])


def _check_steps(prompt: str, answer: str) -> bool:
    series = _read(prompt)
    steps = {after - before for before, after in pairwise(series)}
    return len(steps) == 1 and steps != {0} and answer == str(series[-1] + steps.pop())


def _generate_seasonal(rng: Random) -> Sample:
    """Repeat a pattern of two or three values, lifted by the same amount each time."""
    period, lift = rng.randint(2, 3), rng.randint(1, 20)
    while True:
        pattern = rng.sample(range(1, 60), k=period)
        series = [
            pattern[index % period] + lift * (index // period)
            for index in range(2 * period + rng.randint(1, period))
        ]
        if len({after - before for before, after in pairwise(series[:-1])}) > 1:
            return _sample(series)


def _check_seasonal(prompt: str, answer: str) -> bool:
    """The least period whose differences are all one lift, and not steps or a mere repetition."""
    series = _read(prompt)
    if len({after - before for before, after in pairwise(series)}) < 2:
        return False
    for period in (2, 3):
        lifts = {after - before for before, after in zip(series, series[period:], strict=False)}
        if len(lifts) == 1 and len(series) >= 2 * period:
            lift = lifts.pop()
            return lift > 0 and answer == str(series[-period] + lift)
    return False


FAMILY = (
    Task(
        name="next_periodic",
        domain="time_series",
        description="The next value of a pattern of two to four values that repeats.",
        example="Next value of this series: 4, 9, 2, 4, 9, 2, 4",
        generate=_generate_periodic,
        check=_check_periodic,
    ),
    Task(
        name="next_step",
        domain="time_series",
        description="The next value of a series with even steps, up or down.",
        example="Next value of this series: 3, 7, 11, 15",
        generate=_generate_steps,
        check=_check_steps,
    ),
    Task(
        name="next_seasonal",
        domain="time_series",
        description="The next value of a pattern of two or three that is lifted each time; hard.",
        example="Next value of this series: 2, 9, 12, 19, 22",
        generate=_generate_seasonal,
        check=_check_seasonal,
    ),
)
