"""Several log lines: which of them is the error."""

import re
from random import Random

from models.tasks.task import Sample, Task

_QUESTION = "Which of these log lines is the error: "
_LINE = re.compile(r"(\d)\) [a-z]+-\d+ ([A-Z]+) [a-z ]+")

_FINE = ("DEBUG", "INFO", "WARN")
_HOSTS = ("api", "db", "edge", "gw", "hub", "node", "pi", "web")
# Any severity may come with any message, so that the mark alone decides.
_MESSAGES = (
    "backup done",
    "cache miss",
    "disk is full",
    "error budget is fine",
    "lease renewed",
    "link is down",
    "link is up",
    "no error found",
    "out of memory",
    "queue is long",
    "timed out",
)


def _generate(rng: Random) -> Sample:
    lines = rng.randint(2, 5)
    error = rng.randint(1, lines)
    listed = []
    for number in range(1, lines + 1):
        severity = "ERROR" if number == error else rng.choice(_FINE)
        host = f"{rng.choice(_HOSTS)}-{rng.randint(1, 99)}"
        listed.append(f"{number}) {host} {severity} {rng.choice(_MESSAGES)}")
    return Sample(_QUESTION + "; ".join(listed), str(error))


def _check(prompt: str, answer: str) -> bool:
    if not prompt.startswith(_QUESTION):
        return False
    lines = [_LINE.fullmatch(line) for line in prompt.removeprefix(_QUESTION).split("; ")]
    return [line[1] for line in lines if line is not None and line[2] == "ERROR"] == [answer]


FAMILY = (
    Task(
        name="error_line",
        domain="observability",
        description="The number of the one log line of two to five that is an error.",
        example=(
            "Which of these log lines is the error: "
            "1) api-3 INFO no error found; 2) db-7 ERROR timed out; 3) pi-9 WARN link is up"
        ),
        generate=_generate,
        check=_check,
    ),
)
