"""What an upstream's refusal means here, whichever API it comes by.

Its own words stay outside, but for a short code. Three kinds are told apart from the rest, since
each wants something else of whoever chose the upstream:

- It did nothing and may later: it is asked again, or another one is.
- The prompt is too long for it: one with more context may take it.
- Its content policy refuses the prompt or the answer: nobody else is asked. Who sends what one
  upstream would not have to the next one until somebody takes it breaks the terms of all.
"""

import json
import re
from typing import Any, NamedTuple

from mesh.errors import (
    ContentRefused,
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

_OF_THE_PROMPT = frozenset({400, 403, 413, 422})  # where the reason may be what was asked

BODY_BYTES_MAX = 64 * 1024  # of a refusal: its code stands in the first hundred
RETRY_AFTER_MAX_S = 10.0  # longer than that nobody waits without a word: the client is told
RETRY_AFTER_TOLD_MAX_S = 3600.0  # passed on to the client: what is told of next week helps nobody
HOPELESS = "insufficient_quota"  # a 429 that no waiting ends

# Codes are short, lower-case names in every API that was looked at, and no prompt, key or sentence
# looks so.
_CODE = re.compile(r"[a-z]{2,16}(_[a-z]{1,16}){0,4}")
_TOO_LONG = re.compile(
    r"context.length|maximum context|context (size|limit)|too many (input )?tokens"
    r"|prompt is too long|input tokens exceed"
)
_TOO_LONG_CODES = ("context_length_exceeded", "exceed_context_size_error")  # llama.cpp's
# Azure's, OpenAI's of old and of new, and what proxies make of them.
_POLICY_CODES = frozenset(
    {"content_filter", "content_policy_violation", "moderation_blocked", "invalid_prompt"}
)
_POLICY = re.compile(
    r"content management policy|content policy|usage polic(y|ies)|was flagged|safety system"
    r"|content.?polic\w* ?violation"
)
_MODERATED = ("flagged_input", "reasons")  # what OpenRouter adds to a refusal of its moderation
# Of what was asked, and not of how it was said: Ollama's (its issue 6027), llama.cpp's, and vLLM's
# where it was started without ``--enable-auto-tool-choice`` (its issue 9986).
_BEYOND = re.compile(r"does not support|(is|are) not supported|requires --")
_UNPAID = re.compile(r"credit balance is too low")  # Anthropic's, with status 400

_BY_STATUS: dict[int, tuple[type[MeshError], str, str]] = {
    400: (InvalidRequest, "the upstream refused the request", "change the request"),
    401: (
        Forbidden,
        "the upstream refused the operator's key",
        "the operator has to mend the key for it",
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
        "the operator has to mend its model or its base_url",
    ),
    413: (ContextOverflow, "the upstream takes no prompt as long as this", "say less"),
    422: (InvalidRequest, "the upstream refused the request", "change the request"),
    429: (Overloaded, "the upstream takes no more for now", "try again in a moment"),
    503: (NodeLost, "the upstream is overloaded", "try again in a moment"),
    529: (NodeLost, "the upstream is overloaded", "try again in a moment"),
}


def refusal_of(status: int, body: bytes) -> MeshError:
    """Return what an answer with ``status`` means for the client."""
    told = _told(body)
    code, words = told.code, told.words
    if status in _OF_THE_PROMPT and _is_too_long(code, words):
        return _too_long()
    if status in _OF_THE_PROMPT and _is_policy(told):
        return _policy()
    if status == 400 and _UNPAID.search(words):
        status = 402
    if status in _BY_STATUS:
        error, what, hint = _BY_STATUS[status]
    elif 300 <= status < 400:
        error, hint = NodeLost, "the operator has to mend its base_url"
        what = "the upstream points elsewhere, where the key is not taken"
    else:
        error, what, hint = NodeLost, "the upstream failed", "try again in a moment"
    return error(f"{what} ({_listed(str(status), code)})", hint=hint)


def refusal_in_band(chunk: dict[str, Any]) -> MeshError:
    """Return what an error in the place of a chunk means."""
    told = _of_error(chunk.get("error"))
    code, words = told.code, told.words
    if _is_too_long(code, words):
        return _too_long()
    if _is_policy(told):
        return _policy()
    if code.startswith("rate_limit") or told.status == 429:
        return Overloaded(f"the upstream takes no more for now ({code or told.status})")
    shown = code or (str(told.status) if told.status else "")
    return NodeLost(f"the upstream failed{f' ({shown})' if shown else ''}")


def is_hopeless(body: bytes) -> bool:
    """Is it a refusal for which waiting does not help?"""
    return _told(body).code == HOPELESS


def is_beyond_it(status: int, body: bytes) -> bool:
    """Does it refuse what it, or its model, cannot do, and another one may?"""
    blames = status in _OF_THE_PROMPT or status == 500  # llama.cpp's, of images
    return blames and _BEYOND.search(_told(body).words) is not None


def told_s(retry_after: str | None, retry_after_ms: str | None) -> float | None:
    """Return in how many seconds the upstream wants to be asked again, or None: it did not say.

    Dates are not read: they need the upstream's clock and ours to agree.
    """
    told_s = _number(retry_after_ms, 1000)
    return told_s if told_s is not None else _number(retry_after, 1)


def wait_s(told_s: float | None, default_s: float) -> float | None:
    """Return how long to wait before another try, or None if it is too long to."""
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
    return code in _TOO_LONG_CODES or _TOO_LONG.search(words) is not None


def _policy() -> ContentRefused:
    return ContentRefused(
        "the upstream's content policy refused this", hint="change the prompt; nobody else is asked"
    )


def _is_policy(told: "_Told") -> bool:
    return told.moderated or told.code in _POLICY_CODES or _POLICY.search(told.words) is not None


class _Told(NamedTuple):
    """What a refusal says, for looking at only."""

    code: str = ""
    words: str = ""  # in lower case
    status: int = 0  # where a number stands in the code's place
    moderated: bool = False


def _told(body: bytes) -> _Told:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return _Told()
    return _of_error(told.get("error", told) if isinstance(told, dict) else None)


def _of_error(error: object) -> _Told:
    if not isinstance(error, dict):
        return _Told(words=error[:1000].lower() if isinstance(error, str) else "")
    codes = (error.get("code"), error.get("type"))
    code = next((c for c in codes if isinstance(c, str) and _CODE.fullmatch(c)), "")
    words, status, more = error.get("message"), error.get("code"), error.get("metadata")
    return _Told(
        code,
        words[:1000].lower() if isinstance(words, str) else "",
        status if type(status) is int and 400 <= status < 600 else 0,
        isinstance(more, dict) and any(more.get(name) for name in _MODERATED),
    )


def _listed(status: str, code: str) -> str:
    return f"{status}, {code}" if code else status
