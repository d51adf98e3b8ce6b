"""Whether a tool's result says that its call worked: what execution has to say of an answer.

There is no one form for it, so the usual ones are known, and whatever says of no failure counts as
a call that worked: data, a page, a listing. A result that is empty says nothing.
"""

import json
import re
from collections.abc import Iterable
from itertools import islice

LOOKED_AT_CHARACTERS = 2_000  # of either end: errors begin a result, exit codes end one
JSON_CHARACTERS_MAX = 65_536  # parsed whole; a larger one is data
RESULTS_MAX = 64  # of one turn, the newest: more calls at once are no agent's step

_FAILED_TEXT = re.compile(
    r"\s*(?:\W{0,4}(?:error|fatal|exception|failed|failure)\b|traceback \(most recent call last\))",
    re.IGNORECASE,
)
# Possessive: of 2,000 blanks, each split between the two would be tried, for 0.25 s.
_EXIT = re.compile(r"\bexit(?:ed)?(?: with)?[ _-]?(?:code|status)[\"']?\s*+[:=]?\s*+(-?\d+)", re.I)
# As MCP, the SDKs of providers, and shells in agents say it.
_FLAGS_OF_FAILURE = ("is_error", "isError", "failed")
_FLAGS_OF_SUCCESS = ("success", "succeeded", "ok")
_EXIT_CODES = ("exit_code", "exitCode", "exit_status", "returncode", "return_code")
_WORDS_OF_FAILURE = frozenset({"error", "failed", "failure", "fail"})


def worked(result: str) -> bool | None:
    """Return whether a call worked, by the text of its result; None: it is empty."""
    text = result.strip()
    if not text:
        return None
    if text[0] == "{" and len(text) <= JSON_CHARACTERS_MAX:
        try:
            told = json.loads(text)
        except (ValueError, RecursionError):
            told = None
        if isinstance(told, dict):
            return not _says_failure(told)
    if _FAILED_TEXT.match(text[:LOOKED_AT_CHARACTERS]):
        return False
    ends = (text[:LOOKED_AT_CHARACTERS], text[-LOOKED_AT_CHARACTERS:])
    codes = [int(found[1][:9]) for end in ends if (found := _EXIT.search(end))]
    return not any(codes)


def share_worked(results: Iterable[str]) -> float | None:
    """Return the share of the results, at most ``RESULTS_MAX``, that tell of a call that worked.

    None: there is none, or none says anything.
    """
    each_told = (worked(each) for each in islice(results, RESULTS_MAX))
    told = [said for said in each_told if said is not None]
    return sum(told) / len(told) if told else None


def _says_failure(told: dict[str, object]) -> bool:
    if any(told.get(key) is True for key in _FLAGS_OF_FAILURE):
        return True
    if any(told.get(key) is False for key in _FLAGS_OF_SUCCESS):
        return True
    codes = [told.get(key) for key in _EXIT_CODES]
    if any(isinstance(code, int) and code != 0 for code in codes):
        return True
    status = told.get("status")
    if isinstance(status, str) and status.lower() in _WORDS_OF_FAILURE:
        return True
    return bool(told.get("error") or told.get("errors"))
