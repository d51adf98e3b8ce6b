"""What is said of answers and of tasks, checked where it enters the mesh."""

import math
import re
from dataclasses import dataclass
from typing import Final

from mesh.core.outcomes import Source
from mesh.errors import InvalidRequest
from mesh.v1 import inference_pb2 as inference
from mesh.wire.requests import REQUEST_ID

LABEL_CHARACTERS_MAX = 64
OUTCOME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
TASK_CHARACTERS_MAX = 128
VALUE_MAX = 1e12  # of an operator's own measure
HTTP_PREFIX = "chatcmpl-"  # an answer over HTTP has the request's id behind it
FEEDBACK_SOURCES: Final = {
    "human": Source.FEEDBACK,
    "test": Source.TEST,
    "judge": Source.JUDGE,
}


@dataclass(frozen=True, slots=True)
class GivenFeedback:
    """How good an answer was."""

    request_id: str
    score: float  # [0, 1]; 1 is right
    label: str
    source: str  # one of FEEDBACK_SOURCES


@dataclass(frozen=True, slots=True)
class GivenOutcome:
    """What became of a task."""

    task_id: str
    outcome: str
    value: float


def read_feedback(message: inference.Feedback) -> GivenFeedback:
    """Check feedback. An empty source is a person.

    Raises:
        InvalidRequest: a field is missing, malformed or out of range; names it.
    """
    request_id = message.request_id.removeprefix(HTTP_PREFIX)
    if not REQUEST_ID.fullmatch(request_id):
        raise InvalidRequest("request_id is no request's id", hint="an answer's receipt names it")
    if not math.isfinite(message.score) or not 0.0 <= message.score <= 1.0:
        raise InvalidRequest("score is out of range", hint="use 0 (wrong) to 1 (right)")
    if len(message.label) > LABEL_CHARACTERS_MAX or not message.label.isprintable():
        raise InvalidRequest(
            "label is too long, or cannot be printed",
            hint=f"use at most {LABEL_CHARACTERS_MAX} printable characters",
        )
    source = message.source or "human"
    if source not in FEEDBACK_SOURCES:
        known = ", ".join(FEEDBACK_SOURCES)
        raise InvalidRequest(f"source {source[:40]!r} is unknown", hint=f"use {known}")
    return GivenFeedback(request_id, message.score, message.label, source)


def read_outcome(message: inference.Outcome) -> GivenOutcome:
    """Check an outcome.

    Raises:
        InvalidRequest: a field is missing, malformed or out of range; names it.
    """
    task = message.task_id
    if not task or len(task) > TASK_CHARACTERS_MAX or not task.isprintable():
        raise InvalidRequest("task_id is no task's id", hint="use the one that requests told")
    if not OUTCOME.fullmatch(message.outcome):
        raise InvalidRequest(
            "outcome is malformed",
            hint="use a short word such as merged, resolved or reopened: a-z, 0-9, - and _",
        )
    if not math.isfinite(message.value) or abs(message.value) > VALUE_MAX:
        raise InvalidRequest("value is out of range", hint=f"use at most {VALUE_MAX:.0e}")
    return GivenOutcome(task, message.outcome, message.value)
