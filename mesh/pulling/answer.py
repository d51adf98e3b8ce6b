"""What a server's answer to a Range request means. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

_CONTENT_RANGE = re.compile(r"bytes (?P<first>\d{1,18})-(?P<last>\d{1,18})/(?P<total>\d{1,18})")
_UNSATISFIED = re.compile(r"bytes \*/(?P<total>\d{1,18})")
_LENGTH = re.compile(r"\d{1,18}")


class Meaning(Enum):
    """What follows from an answer."""

    GOES_ON = auto()  # the bytes that follow those that are here
    FROM_THE_START = auto()  # all bytes: Range was ignored, or the file is another by now
    COMPLETE = auto()  # nothing is missing
    BEGIN_ANEW = auto()  # what is here does not belong to what is there; ask again without Range
    NO_SIZE = auto()  # it does not say how much it will send
    NONSENSE = auto()  # it contradicts itself


@dataclass(frozen=True, slots=True)
class Answer:
    """Its meaning, and the size of the whole file in bytes where it is told."""

    meaning: Meaning
    size_bytes: int = 0


def understand(
    status: int, headers: Mapping[str, str], *, done_bytes: int, validator: str
) -> Answer:
    """Say what an answer of 200, 206 or 416 means (RFC 9110, sections 14.4 and 15).

    Args:
        done_bytes: what was asked to be left out.
        validator: of the bytes that are here; "" if it does not matter.
    """
    if status == 416:
        told = _UNSATISFIED.fullmatch(headers.get("content-range", ""))
        whole = told is not None and int(told["total"]) == done_bytes
        return Answer(Meaning.COMPLETE if whole else Meaning.BEGIN_ANEW, done_bytes)
    if status == 206:
        told = _CONTENT_RANGE.fullmatch(headers.get("content-range", ""))
        if told is None or int(told["last"]) + 1 != int(told["total"]):
            return Answer(Meaning.NONSENSE)
        if int(told["first"]) != done_bytes:
            return Answer(Meaning.BEGIN_ANEW if done_bytes else Meaning.NONSENSE)
        if validator and validator_of(headers) not in ("", validator):
            return Answer(Meaning.BEGIN_ANEW)
        return Answer(Meaning.GOES_ON, int(told["total"]))
    length = headers.get("content-length", "")
    if not _LENGTH.fullmatch(length):
        return Answer(Meaning.NO_SIZE)
    return Answer(Meaning.FROM_THE_START, int(length))


def size_told(status: int, headers: Mapping[str, str]) -> int | None:
    """Return how many bytes a file has, from the answer to a request for its first byte.

    None where it does not say, or Range is taken for something else.
    """
    if status == 206:
        told = _CONTENT_RANGE.fullmatch(headers.get("content-range", ""))
        return int(told["total"]) if told is not None and told["first"] == "0" else None
    length = headers.get("content-length", "")
    return int(length) if status == 200 and _LENGTH.fullmatch(length) else None


def validator_of(headers: Mapping[str, str]) -> str:
    """Return what If-Range may hold: a strong ETag, else Last-Modified; "" without either."""
    etag = headers.get("etag", "")
    if etag and not etag.startswith("W/") and len(etag) <= 256:
        return etag
    return headers.get("last-modified", "")[:64]
