"""Logs of requests: the one that was too slow, and how many the server failed."""

import re
from random import Random

from models.tasks.task import Sample, Task

_SLOW = re.compile(
    r"Which request in this log is slower than (\d+) ms: "
    r"((?:/[a-z]+ \d+ ms, )*/[a-z]+ \d+ ms)"
)
_REQUEST = re.compile(r"(/[a-z]+) (\d+) ms")
_ERRORS = re.compile(r"How many server errors are in this log: (\d{3}(?: \d{3})*)")

_PATHS_TEXT = (
    "admin api buy cart docs feed help home item list login map news order pay search user"
)
_PATHS = tuple(f"/{word}" for word in _PATHS_TEXT.split())
_SERVER_ERRORS = (500, 502, 503, 504)
_OTHER_STATUSES = (200, 200, 201, 204, 301, 304, 400, 401, 403, 404, 405, 429)


def _generate_slow(rng: Random) -> Sample:
    """One lies above the limit; a few lie just below it, for digits to be compared."""
    limit_ms = rng.randint(20, 900)
    paths = rng.sample(_PATHS, k=rng.randint(2, 5))
    times_ms = [rng.randint(max(1, limit_ms // 10), limit_ms) for _ in paths]
    slow = rng.randrange(len(paths))
    times_ms[slow] = limit_ms + rng.randint(1, rng.choice((20, 100, 900)))
    listed = [f"{path} {time_ms} ms" for path, time_ms in zip(paths, times_ms, strict=True)]
    prompt = f"Which request in this log is slower than {limit_ms} ms: {', '.join(listed)}"
    return Sample(prompt, paths[slow])


def _check_slow(prompt: str, answer: str) -> bool:
    match = _SLOW.fullmatch(prompt)
    if match is None:
        return False
    slow = [path for path, time_ms in _REQUEST.findall(match[2]) if int(time_ms) > int(match[1])]
    return slow == [answer]


def _generate_errors(rng: Random) -> Sample:
    statuses = rng.randint(3, 14)
    errors = rng.randint(0, min(9, statuses))
    drawn = [*rng.choices(_SERVER_ERRORS, k=errors)]
    drawn += rng.choices(_OTHER_STATUSES, k=statuses - errors)
    rng.shuffle(drawn)
    return Sample(
        f"How many server errors are in this log: {' '.join(map(str, drawn))}", str(errors)
    )


def _check_errors(prompt: str, answer: str) -> bool:
    match = _ERRORS.fullmatch(prompt)
    if match is None:
        return False
    return answer == str(sum(status.startswith("5") for status in match[1].split()))


FAMILY = (
    Task(
        name="slow_request",
        domain="observability",
        description="The one request of two to five that took longer than a limit.",
        example="Which request in this log is slower than 300 ms: /cart 120 ms, /login 480 ms",
        generate=_generate_slow,
        check=_check_slow,
    ),
    Task(
        name="server_errors",
        domain="observability",
        description="How many of 3 to 14 HTTP statuses are server errors; hard with many.",
        example="How many server errors are in this log: 200 404 503 200 500",
        generate=_generate_errors,
        check=_check_errors,
    ),
)
