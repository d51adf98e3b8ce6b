"""The retry budget: a fifth of what is asked, and three for a quiet mesh."""

from hypothesis import given
from hypothesis import strategies as st

from mesh.core.retry import FILL_MAX, RATIO, RESERVE, RetryBudget


def test_a_quiet_mesh_may_retry_three_times() -> None:
    budget = RetryBudget()
    assert [budget.spend() for _ in range(4)] == [True, True, True, False]


@given(st.lists(st.booleans()))
def test_no_more_is_spent_than_was_earned(history: list[bool]) -> None:
    """True: a request arrives. False: an attempt fails and wants another."""
    budget, requests, spent = RetryBudget(), 0, 0
    for arrives in history:
        if arrives:
            requests += 1
            budget.earn()
        else:
            allowed = budget.allows
            assert budget.spend() == allowed
            spent += allowed
        assert spent <= RATIO * requests + RESERVE + 1e-9


def test_a_long_good_time_saves_up_no_more_than_the_limit() -> None:
    budget = RetryBudget()
    for _ in range(100_000):
        budget.earn()
    assert budget.tokens == FILL_MAX
