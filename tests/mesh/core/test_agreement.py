"""Two answers agree, differ, or nobody can tell by their words."""

import pytest

from mesh.core.agreement import agreement

LONG = "the router drops the packet because no route to the subnet is known to it"
SAME = "because no route to the subnet is known to it the router drops that packet"
OTHER = "a switch forwards frames by their hardware address within one broadcast domain alone"
HALF = "the router drops the packet while its cable hangs loose behind our dusty desk today"


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        ("10.0.0.1", " 10.0.0.1.\n", 1.0),
        ("**Yes**", "yes", 1.0),
        ("10.0.0.1", "10.0.0.2", 0.0),
        ("-5", "5", 0.0),
        ("yes", "no", 0.0),
        (LONG, SAME, 1.0),
        (LONG, OTHER, 0.0),
        (LONG, HALF, None),
        ("42", LONG, None),
        ("", "42", None),
    ],
)
def test_answers_are_compared_by_their_words(one: str, other: str, said: float | None) -> None:
    assert agreement(one, other) == said
    assert agreement(other, one) == said
