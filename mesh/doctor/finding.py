"""What one check found. Pure."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"  # deskmesh works, and not as well as it could
    FAILED = "failed"  # something that this machine should do it can't


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of ``deskmesh doctor``."""

    check: str
    verdict: Verdict
    what: str  # and why
    mend: str = ""  # what to do about it; "" where nothing is wrong


def ok(check: str, what: str) -> Finding:
    return Finding(check, Verdict.OK, what)


def warning(check: str, what: str, mend: str) -> Finding:
    return Finding(check, Verdict.WARNING, what, mend)


def failed(check: str, what: str, mend: str) -> Finding:
    return Finding(check, Verdict.FAILED, what, mend)
