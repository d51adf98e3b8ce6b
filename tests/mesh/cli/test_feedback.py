"""Of ``deskmesh feedback``: exactly one score."""

import pytest

from mesh.cli.feedback import score_of
from mesh.errors import InvalidRequest


def test_a_thumb_is_a_score() -> None:
    assert score_of(None, good=True, bad=False) == 1.0
    assert score_of(None, good=False, bad=True) == 0.0
    assert score_of(0.0, good=False, bad=False) == 0.0


@pytest.mark.parametrize(
    ("score", "good", "bad"), [(None, False, False), (None, True, True), (0.0, False, True)]
)
def test_none_and_two_are_refused(score: float | None, good: bool, bad: bool) -> None:
    with pytest.raises(InvalidRequest, match="score was given"):
        score_of(score, good=good, bad=bad)
