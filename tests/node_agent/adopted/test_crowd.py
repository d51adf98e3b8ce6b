"""How many answers an adopted engine gets at a time."""

from node_agent.adopted.crowd import GROW_AFTER, SLOTS_FIRST, SLOTS_MAX, Crowd


def a_crowd(alone_s: float = 0.1) -> Crowd:
    crowd = Crowd()
    crowd.began(alone_s, beside=1)
    return crowd


def answers(crowd: Crowd, count: int, first_token_s: float = 0.1) -> None:
    for _ in range(count):
        crowd.began(first_token_s, beside=crowd.slots)


def test_it_grows_by_one_when_nobody_waited_while_all_were_taken() -> None:
    crowd = a_crowd()
    answers(crowd, GROW_AFTER - 1)
    assert crowd.slots == SLOTS_FIRST
    answers(crowd, 1)
    assert crowd.slots == SLOTS_FIRST + 1


def test_it_never_grows_beyond_its_bound() -> None:
    crowd = a_crowd()
    answers(crowd, 10 * SLOTS_MAX * GROW_AFTER)
    assert crowd.slots == SLOTS_MAX


def test_it_shrinks_when_those_beside_others_begin_late_but_not_for_one() -> None:
    crowd = a_crowd()
    answers(crowd, 1, first_token_s=5.0)
    assert crowd.slots == SLOTS_FIRST
    answers(crowd, 1, first_token_s=5.0)
    assert crowd.slots == 1


def test_it_shrinks_at_once_to_what_is_worked_on_when_the_engine_refuses() -> None:
    crowd = a_crowd()
    answers(crowd, 2 * GROW_AFTER)
    grown = crowd.slots
    assert grown == SLOTS_FIRST + 2
    for _ in range(3):
        crowd.begin()
    crowd.refused()
    assert crowd.slots == 2
    crowd.end()
    crowd.end()
    crowd.refused()
    assert crowd.slots == 1, "at least one"


def test_after_it_shrank_it_takes_longer_to_grow() -> None:
    crowd = a_crowd()
    answers(crowd, 2, first_token_s=5.0)
    crowd.slots = 2
    answers(crowd, GROW_AFTER)
    assert crowd.slots == 2
    answers(crowd, GROW_AFTER)
    assert crowd.slots == 3


def test_what_the_engine_tells_stands_until_it_refuses() -> None:
    crowd = Crowd()
    crowd.hear(4)
    crowd.began(0.1, beside=1)
    answers(crowd, 50)
    answers(crowd, 50, first_token_s=50.0)
    assert crowd.slots == 4
    for _ in range(3):
        crowd.begin()
    crowd.refused()
    crowd.hear(4)
    assert crowd.slots == 2
