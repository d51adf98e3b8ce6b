"""Deadlines come out when due, in order, and never pile up."""

from hypothesis import given
from hypothesis import strategies as st

from mesh.core.timers import Due, Timers
from mesh.core.types import AttemptId, NodeId
from tests.mesh.core.script import key

owners = st.sampled_from([NodeId("desk"), key("r1"), AttemptId(1), None])
changes = st.lists(
    st.tuples(
        st.sampled_from(["set", "set", "clear", "postpone"]),
        st.integers(0, 20),
        st.sampled_from(Due),
        owners,
    )
)


@given(changes, st.integers(0, 20))
def test_what_comes_out_is_what_was_set_last_and_is_due(
    history: list[tuple[str, int, Due, NodeId | AttemptId | None]], now_s: int
) -> None:
    timers, expected = Timers(), dict[tuple[Due, object], int]()
    for what, due_s, kind, owner in history:
        if what == "set":
            timers.set(due_s, kind, owner)
            expected[kind, owner] = due_s
        elif what == "postpone":
            timers.postpone({kind}, due_s)
            expected |= {each: at + due_s for each, at in expected.items() if each[0] is kind}
        else:
            timers.clear(kind, owner)
            expected.pop((kind, owner), None)
        assert timers.is_set(kind, owner) == ((kind, owner) in expected)
    if expected:
        assert timers.next_due_s is not None
        assert timers.next_due_s <= min(expected.values())
    popped = []
    while (due := timers.pop_due(now_s)) is not None:
        popped.append(due)
    assert {*popped} == {each for each, due_s in expected.items() if due_s <= now_s}
    assert len(popped) == len({*popped})
    dues = [expected[each] for each in popped]
    assert dues == sorted(dues)
    assert timers.next_due_s is None or timers.next_due_s > now_s


def test_those_due_at_once_come_out_in_the_order_they_were_set() -> None:
    timers = Timers()
    for name in ("c", "a", "b"):
        timers.set(1.0, Due.DEADLINE, key(name))
    popped = [timers.pop_due(1.0) for _ in range(3)]
    assert popped == [(Due.DEADLINE, key(name)) for name in ("c", "a", "b")]


def test_a_timer_that_no_longer_holds_leaves_nothing_behind() -> None:
    """A busy mesh ends 100,000 requests long before their deadlines."""
    timers = Timers()
    timers.set(1e9, Due.SILENCE, NodeId("desk"))
    for number in range(10_000):
        timers.set(1e6 + number, Due.DEADLINE, key(str(number)))
        timers.clear(Due.DEADLINE, key(str(number)))
        assert len(timers) <= 64 + 2
    assert timers.pop_due(1e8) is None
    assert timers.next_due_s == 1e9


def test_a_timer_that_is_set_again_and_again_is_one() -> None:
    timers = Timers()
    for beat in range(10_000):
        timers.set(float(beat), Due.SILENCE, NodeId("desk"))
        assert len(timers) <= 64 + 2
    assert timers.pop_due(9_998.0) is None
    assert timers.pop_due(9_999.0) == (Due.SILENCE, NodeId("desk"))
    assert len(timers) == 0
