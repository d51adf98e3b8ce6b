"""Who may wait: nobody whose first token is predicted for after its deadline.

Predictions of a wait are guesses at when others end, so they are halved here before anybody is
turned away for one: what is refused could hardly have been served, and who waits may still fail.
"""

from math import ceil

from mesh.core.progress import Progress
from mesh.core.types import Request

HOPE = 0.5  # of a predicted time; the worst queue we know to serve ends twice as soon as predicted
PATIENT_FOR = 2.0  # times the predicted wait, after which any free machine is taken
# In a row, for a slot that came free: they wait for quicker machines, and those behind them do too.
DECLINED_MAX = 2
RETRY_AFTER_S_MIN, RETRY_AFTER_S_MAX = 1.0, 300.0


def in_time(first_token_s: float, request: Request, now_s: float) -> bool:
    """Can a first token that is predicted in ``first_token_s`` come before the deadline?"""
    return now_s + HOPE * first_token_s < request.deadline_s


def waited_enough(progress: Progress, now_s: float) -> bool:
    """Has a request waited for so much longer than was predicted that it takes what there is?"""
    expected_s = min((each.first_token_s for each in progress.candidates), default=0.0)
    return now_s - progress.arrived_s > PATIENT_FOR * expected_s


def retry_after_s(first_token_s: float, remaining_s: float = 0.0) -> int:
    """Return when to ask again, in whole seconds: once the wait fits what the caller has left."""
    return ceil(min(RETRY_AFTER_S_MAX, max(RETRY_AFTER_S_MIN, first_token_s - remaining_s)))
