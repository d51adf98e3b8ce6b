"""An engine that starts and stops all day."""

from node_agent.adopted.damping import STAY_FIRST_S, STAY_MAX_S, WITHIN_S, Damping


def test_the_first_comings_are_believed_at_once() -> None:
    damping = Damping()
    for now_s in (0.0, 10.0):
        damping.came(now_s)
        assert damping.wait_s(now_s) == 0.0
        damping.left(now_s + 5.0)


def test_one_that_went_often_must_stay_for_longer_each_time_up_to_a_bound() -> None:
    damping, now_s, waits = Damping(), 0.0, []
    for _ in range(12):
        now_s += 1.0
        damping.came(now_s)
        waits.append(damping.wait_s(now_s))
        damping.left(now_s)
    assert waits[:4] == [0.0, 0.0, STAY_FIRST_S, 2 * STAY_FIRST_S]
    assert waits == sorted(waits)
    assert waits[-1] == STAY_MAX_S


def test_having_stayed_it_is_offered_however_often_it_is_seen() -> None:
    damping = Damping()
    for now_s in (0.0, 1.0):
        damping.came(now_s)
        damping.left(now_s + 0.5)
    damping.came(2.0)
    damping.came(4.0)
    assert damping.wait_s(4.0) == STAY_FIRST_S - 2.0
    assert damping.wait_s(2.0 + STAY_FIRST_S) == 0.0


def test_what_was_long_ago_is_forgotten() -> None:
    damping = Damping()
    for now_s in (0.0, 1.0, 2.0):
        damping.came(now_s)
        damping.left(now_s + 0.5)
    damping.came(3.0 + WITHIN_S)
    assert damping.wait_s(3.0 + WITHIN_S) == 0.0
