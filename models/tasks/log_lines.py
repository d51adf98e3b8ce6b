"""Log lines: how severe one is, and which host wrote it."""

import re
from random import Random

from models.tasks.task import Sample, Task

_SEVERITY = "Severity of this log line: "
_HOST = "Host in this log line: "

# Spelling in the line -> severity. Two spellings of some: the answer isn't always a copy.
_SEVERITIES = {
    "DEBUG": "debug",
    "INFO": "info",
    "WARN": "warning",
    "WARNING": "warning",
    "ERROR": "error",
    "CRITICAL": "critical",
    "FATAL": "critical",
}
_HOSTS = ("api", "cam", "db", "edge", "gw", "hub", "mac", "node", "pi", "rack", "vm", "web")
_SERVICES_TEXT = "cron dhcpd kernel nginx ntpd postgres redis relay sshd vpn"
_SERVICES = _SERVICES_TEXT.split()

# Some messages name another severity, so that the word alone decides nothing.
_MESSAGES = (
    "backup done",
    "cache miss",
    "certificate expires soon",
    "clock is off by 2 s",
    "connection refused",
    "connection reset by peer",
    "debug port is open",
    "disk is almost full",
    "error budget is fine",
    "fan is slow",
    "info page served",
    "lease renewed",
    "link is up",
    "login from 10.0.3.7",
    "no error found",
    "out of memory",
    "queue is long",
    "retry in 5 s",
    "timeout after 30 s",
    "warning lamp is off",
)
_LINE = re.compile(
    r"\d\d:\d\d:\d\d (?P<host>[a-z]+-\d+) [a-z]+: "
    r"(?:\[(?P<bracketed>[a-z]+)\]|level=(?P<keyed>[a-z]+)|(?P<plain>[A-Z]+)) .+"
)


def _mark(rng: Random, spelling: str) -> str:
    return rng.choice((spelling, f"[{spelling.lower()}]", f"level={spelling.lower()}"))


def _line(rng: Random, *, host: str, spelling: str) -> str:
    clock = f"{rng.randrange(24):02}:{rng.randrange(60):02}:{rng.randrange(60):02}"
    service, message = rng.choice(_SERVICES), rng.choice(_MESSAGES)
    return f"{clock} {host} {service}: {_mark(rng, spelling)} {message}"


def _host(rng: Random) -> str:
    return f"{rng.choice(_HOSTS)}-{rng.randint(1, 99)}"


def _generate_severity(rng: Random) -> Sample:
    spelling = rng.choice(tuple(_SEVERITIES))
    line = _line(rng, host=_host(rng), spelling=spelling)
    return Sample(_SEVERITY + line, _SEVERITIES[spelling])


def _generate_host(rng: Random) -> Sample:
    host = _host(rng)
    line = _line(rng, host=host, spelling=rng.choice(tuple(_SEVERITIES)))
    return Sample(_HOST + line, host)


def _parse(prompt: str, prefix: str) -> re.Match[str] | None:
    return _LINE.fullmatch(prompt.removeprefix(prefix)) if prompt.startswith(prefix) else None


def _check_severity(prompt: str, answer: str) -> bool:
    line = _parse(prompt, _SEVERITY)
    if line is None:
        return False
    spelling = line["bracketed"] or line["keyed"] or line["plain"]
    return answer == _SEVERITIES.get(spelling.upper())


def _check_host(prompt: str, answer: str) -> bool:
    line = _parse(prompt, _HOST)
    return line is not None and answer == line["host"]


FAMILY = (
    Task(
        name="log_severity",
        domain="observability",
        description="The severity of a log line: debug, info, warning, error or critical.",
        example="Severity of this log line: 10:42:07 edge-3 nginx: WARN connection refused",
        generate=_generate_severity,
        check=_check_severity,
    ),
    Task(
        name="log_host",
        domain="observability",
        description="The host that wrote a log line.",
        example="Host in this log line: 10:42:07 edge-3 nginx: WARN connection refused",
        generate=_generate_host,
        check=_check_host,
    ),
)
