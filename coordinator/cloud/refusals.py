"""What an upstream's refusal means here. Its own words stay outside, but for a short code."""

import json
import re
from typing import Any

from mesh.errors import (
    ContextOverflow,
    Forbidden,
    InvalidRequest,
    MeshError,
    ModelNotFound,
    NodeLost,
    Overloaded,
)

OK = 200
TRY_AGAIN = frozenset({429, 503, 529})  # it did nothing and says that it may later
# A proxy lost the upstream meanwhile: it may have worked, and may want its money.
PERHAPS_DONE = frozenset({502, 504, 520, 522, 524})

BODY_BYTES_MAX = 64 * 1024  # of a refusal: its code stands in the first hundred
RETRY_AFTER_MAX_S = 10.0  # longer than that nobody waits without a word: the client is told
HOPELESS = "insufficient_quota"  # a 429 that no waiting ends

# Codes are short, lower-case names in every API that was looked at, and no prompt, key or sentence
# looks so.
_CODE = re.compile(r"[a-z]{2,16}(_[a-z]{1,16}){0,4}")
_TOO_LONG = re.compile(
    r"context.length|maximum context|too many (input )?tokens|prompt is too long"
)

_BY_STATUS: dict[int, tuple[type[MeshError], str, str]] = {
    400: (InvalidRequest, "the upstream refused the request", "change the request"),
    401: (
        Forbidden,
        "the upstream refused the operator's key",
        "the operator has to mend cloud.api_key",
    ),
    402: (
        Forbidden,
        "the upstream wants the operator to pay first",
        "the operator has to see to the account there",
    ),
    403: (
        Forbidden,
        "the upstream refused the operator's key for this",
        "the operator has to see to the account there",
    ),
    404: (
        ModelNotFound,
        "the upstream has no such model, or no such address",
        "the operator has to mend cloud.model or cloud.base_url",
    ),
    413: (ContextOverflow, "the upstream takes no prompt as long as this", "say less"),
    422: (InvalidRequest, "the upstream refused the request", "change the request"),
    429: (Overloaded, "the upstream takes no more for now", "try again in a moment"),
    503: (NodeLost, "the upstream is overloaded", "try again in a moment"),
    529: (NodeLost, "the upstream is overloaded", "try again in a moment"),
}


def refusal_of(status: int, body: bytes) -> MeshError:
    """Return what an answer with ``status`` means for the client."""
    code, words = _told(body)
    if status in (400, 413, 422) and _is_too_long(code, words):
        return _too_long()
    if status in _BY_STATUS:
        error, what, hint = _BY_STATUS[status]
    elif 300 <= status < 400:
        error, hint = NodeLost, "the operator has to mend cloud.base_url"
        what = "the upstream points elsewhere, where the key is not taken"
    else:
        error, what, hint = NodeLost, "the upstream failed", "try again in a moment"
    return error(f"{what} ({_listed(str(status), code)})", hint=hint)


def refusal_in_band(chunk: dict[str, Any]) -> MeshError:
    """Return what an error in the place of a chunk means."""
    code, words = _of_error(chunk.get("error"))
    if _is_too_long(code, words):
        return _too_long()
    if code.startswith("rate_limit"):
        return Overloaded(f"the upstream takes no more for now ({code})")
    return NodeLost(f"the upstream failed{f' ({code})' if code else ''}")


def is_hopeless(body: bytes) -> bool:
    """Is it a refusal for which waiting does not help?"""
    return _told(body)[0] == HOPELESS


def wait_s(retry_after: str | None, retry_after_ms: str | None, default_s: float) -> float | None:
    """Return how long to wait before another try, or None if it is too long to.

    Dates are not read: they need the upstream's clock and ours to agree.
    """
    told_s = _number(retry_after_ms, 1000) or _number(retry_after, 1)
    if told_s is None:
        return default_s
    return told_s if told_s <= RETRY_AFTER_MAX_S else None


def _number(text: str | None, divisor: int) -> float | None:
    if text is None or not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text.strip()):
        return None
    return float(text) / divisor


def _too_long() -> ContextOverflow:
    return ContextOverflow("the prompt is longer than the upstream's context", hint="say less")


def _is_too_long(code: str, words: str) -> bool:
    return code == "context_length_exceeded" or _TOO_LONG.search(words) is not None


def _told(body: bytes) -> tuple[str, str]:
    """Return the code of a refusal, or "", and its words in lower case; for looking at only."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return "", ""
    return _of_error(told.get("error", told) if isinstance(told, dict) else None)


def _of_error(error: object) -> tuple[str, str]:
    if not isinstance(error, dict):
        return "", str(error)[:1000].lower() if isinstance(error, str) else ""
    codes = (error.get("code"), error.get("type"))
    code = next((c for c in codes if isinstance(c, str) and _CODE.fullmatch(c)), "")
    words = error.get("message")
    return code, words[:1000].lower() if isinstance(words, str) else ""


def _listed(status: str, code: str) -> str:
    return f"{status}, {code}" if code else status
