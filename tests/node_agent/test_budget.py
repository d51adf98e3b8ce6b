"""Who leaves memory for one more model, and whether it fits at all."""

from hypothesis import given
from hypothesis import strategies as st

from node_agent.budget import Fits, Held, Later, Never, Room, verdict
from node_agent.memory import MARGIN_BYTES, PROCESS_BYTES, Footprint

GB = 1 << 30
PLENTY = 1 << 50


def held(key: int, size: int, *, busy: bool = False, used_s: float = 0.0) -> Held:
    return Held(key, size, busy, used_s)


def decide(
    size: int,
    others: list[Held],
    *,
    unclaimed: int = PLENTY,
    budget: int = PLENTY,
    slot: int = 0,
    slots_max: int = 4,
) -> Fits | Later | Never:
    """Ask for a model of weights that take ``size``, all of it measured in bytes."""
    footprint = Footprint(0, slot) if slot else Footprint(0, size)
    room = Room(unclaimed + MARGIN_BYTES + PROCESS_BYTES, budget + PROCESS_BYTES)
    return verdict(footprint, slots_max, others, room)


def test_a_model_that_fits_drives_nobody_out() -> None:
    assert decide(GB, [held(1, GB)], budget=2 * GB) == Fits((), 1)


def test_the_least_recently_used_leaves_first_and_no_more_than_must() -> None:
    idle = [held(1, GB, used_s=3), held(2, GB, used_s=1), held(3, GB, used_s=2)]
    assert decide(GB, idle, budget=3 * GB) == Fits((2,), 1)
    assert decide(2 * GB, idle, budget=3 * GB) == Fits((2, 3), 1)


def test_a_busy_model_is_waited_for_and_the_idle_ones_go_before_it() -> None:
    others = [held(1, GB, busy=True, used_s=1), held(2, GB, used_s=9)]
    assert decide(GB, others, budget=2 * GB) == Fits((2,), 1)
    assert decide(2 * GB, others, budget=2 * GB) == Later((1,))


def test_what_no_leaving_makes_room_for_never_fits_and_says_which_bound_it_is() -> None:
    others = [held(1, GB, busy=True)]
    by_budget = decide(3 * GB, others, budget=2 * GB)
    by_memory = decide(3 * GB, others, unclaimed=GB)
    assert isinstance(by_budget, Never)
    assert isinstance(by_memory, Never)
    assert "models may take 2.2 GB here" in str(by_budget)
    assert "node.memory_share_max" in by_budget.hint
    assert "2.2 GB are free" in str(by_memory)
    assert "close a program" in by_memory.hint


def test_slots_are_as_many_as_both_bounds_allow() -> None:
    assert decide(0, [], slot=GB, budget=3 * GB + 1) == Fits((), 3)
    assert decide(0, [], slot=GB, unclaimed=2 * GB) == Fits((), 2)
    assert decide(0, [], slot=GB, slots_max=4) == Fits((), 4)


def test_memory_that_is_over_its_bound_already_takes_nothing_more() -> None:
    assert decide(1, [held(1, 5 * GB, busy=True)], budget=4 * GB) == Later((1,))
    assert decide(1, [held(1, 5 * GB)], budget=4 * GB) == Fits((1,), 4)


SIZES = st.integers(0, 50)
OTHERS = st.lists(
    st.builds(held, st.integers(), SIZES, busy=st.booleans(), used_s=st.floats(0, 9)),
    max_size=6,
    unique_by=lambda each: each.key,
)


@given(
    base=SIZES, slot=SIZES, slots_max=st.integers(1, 8), others=OTHERS,
    free=st.integers(-20, 120), budget=st.integers(0, 120),
)  # fmt: skip
def test_whatever_is_held_no_bound_is_passed_and_nobody_leaves_who_must_not(
    base: int, slot: int, slots_max: int, *, others: list[Held], free: int, budget: int
) -> None:
    footprint = Footprint(base, slot)
    free, budget = free + PROCESS_BYTES, budget + PROCESS_BYTES
    decided = verdict(footprint, slots_max, others, Room(free + MARGIN_BYTES, budget))
    by_key = {each.key: each for each in others}
    if isinstance(decided, Fits):
        left = [by_key[key] for key in decided.leave]
        stay = [each for each in others if each.key not in decided.leave]
        taken = footprint.taken_bytes(decided.slots)
        assert 1 <= decided.slots <= slots_max
        assert not any(each.busy for each in left)
        assert taken + sum(each.claim_bytes for each in stay) <= budget
        assert taken <= free + sum(each.claim_bytes for each in left)
        assert all(
            (gone.used_s, gone.key) < (each.used_s, each.key)
            for gone in left
            for each in stay
            if not each.busy
        )
        if left:  # without the last one it would not have fitted
            before = sum(each.claim_bytes for each in left[:-1])
            spare = min(free, budget - sum(each.claim_bytes for each in others)) + before
            assert spare < footprint.taken_bytes(1)
        return
    idle = sum(each.claim_bytes for each in others if not each.busy)
    needed = footprint.taken_bytes(1)
    busy = sum(each.claim_bytes for each in others if each.busy)
    assert min(free + idle, budget - busy) < needed, "it could have been loaded"
    everything = min(free + idle + busy, budget)
    assert isinstance(decided, Later) == (everything >= needed)
    if isinstance(decided, Later):
        assert all(by_key[key].busy for key in decided.leave)
