"""What is said of answers and tasks is checked where it comes in."""

import pytest

from mesh.errors import InvalidRequest
from mesh.v1 import inference_pb2 as inference
from mesh.wire.judgements import read_feedback, read_outcome


def test_a_person_is_who_says_so_unless_told_otherwise() -> None:
    given = read_feedback(inference.Feedback(request_id="chatcmpl-r1", score=0.5))
    assert (given.request_id, given.score, given.source) == ("r1", 0.5, "human")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"task_id": ""}, "task_id"),
        ({"task_id": "a\nb"}, "task_id"),
        ({"task_id": "t" * 129}, "task_id"),
        ({"outcome": ""}, "outcome"),
        ({"outcome": "It was Merged!"}, "outcome"),
        ({"value": float("inf")}, "value"),
    ],
)
def test_an_outcome_that_makes_no_sense_is_refused(given: dict[str, object], words: str) -> None:
    told = {"task_id": "t", "outcome": "merged", "value": 1.0, **given}
    with pytest.raises(InvalidRequest, match=words):
        read_outcome(inference.Outcome(**told))  # type: ignore[arg-type]
