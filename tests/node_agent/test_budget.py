"""Who leaves memory for one more model, and whether it fits at all."""

from hypothesis import given
from hypothesis import strategies as st

from mesh.core.footprint import CELLS_STEP, PROCESS_BYTES, Shape
from node_agent.budget import Fits, Held, Later, Never, Room, Wanted, verdict
from node_agent.memory import CONTEXT_TOKENS_MIN, MARGIN_BYTES, Footprint, contexts

GB = 1 << 30
KB = 1 << 10
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
    footprint = Footprint(Shape(size, cache_bytes_per_token=slot // CELLS_STEP))
    room = Room(unclaimed + MARGIN_BYTES + PROCESS_BYTES, budget + PROCESS_BYTES)
    return verdict(Wanted(footprint, slots_max, CELLS_STEP), others, room)


def fits(leave: tuple[int, ...], slots: int) -> Fits:
    return Fits(leave, slots, CELLS_STEP)


def test_a_model_that_fits_drives_nobody_out() -> None:
    assert decide(GB, [held(1, GB)], budget=2 * GB) == fits((), 4)


def test_the_least_recently_used_leaves_first_and_no_more_than_must() -> None:
    idle = [held(1, GB, used_s=3), held(2, GB, used_s=1), held(3, GB, used_s=2)]
    assert decide(GB, idle, budget=3 * GB) == fits((2,), 4)
    assert decide(2 * GB, idle, budget=3 * GB) == fits((2, 3), 4)


def test_a_busy_model_is_waited_for_and_the_idle_ones_go_before_it() -> None:
    others = [held(1, GB, busy=True, used_s=1), held(2, GB, used_s=9)]
    assert decide(GB, others, budget=2 * GB) == fits((2,), 4)
    assert decide(2 * GB, others, budget=2 * GB) == Later((1,), CELLS_STEP)


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
    assert decide(0, [], slot=GB, budget=3 * GB + 1) == fits((), 3)
    assert decide(0, [], slot=GB, unclaimed=2 * GB) == fits((), 2)
    assert decide(0, [], slot=GB, slots_max=4) == fits((), 4)


def test_memory_that_is_over_its_bound_already_takes_nothing_more() -> None:
    assert decide(1, [held(1, 5 * GB, busy=True)], budget=4 * GB) == Later((1,), CELLS_STEP)
    assert decide(1, [held(1, 5 * GB)], budget=4 * GB) == fits((1,), 4)


SIZES = st.integers(0, 50)
OTHERS = st.lists(
    st.builds(held, st.integers(), SIZES, busy=st.booleans(), used_s=st.floats(0, 9)),
    max_size=6,
    unique_by=lambda each: each.key,
)


def long(slots: int, *, free: int, budget: int = PLENTY) -> Fits | Later | Never:
    """Ask for a model of 1 GB of 100 KB a token, which could have 32,768 of them."""
    footprint = Footprint(Shape(GB, cache_bytes_per_token=100_000))
    return verdict(Wanted(footprint, slots, 32_768), [], Room(free + MARGIN_BYTES, budget))


def needs(slots: int, context_tokens: int) -> int:
    return Footprint(Shape(GB, cache_bytes_per_token=100_000)).taken_bytes(slots, context_tokens)


def test_slots_go_before_the_context_does() -> None:
    assert long(4, free=needs(4, 32_768)) == Fits((), 4, 32_768)
    assert long(4, free=needs(4, 32_768) - 1) == Fits((), 3, 32_768)
    assert long(4, free=needs(1, 32_768)) == Fits((), 1, 32_768)


def test_a_context_that_does_not_fit_is_halved_until_it_does_and_no_further() -> None:
    assert long(4, free=needs(1, 32_768) - 1) == Fits((), 1, 16_384)
    assert long(4, free=needs(1, 4_096) - 1) == Fits((), 1, 2_048)
    assert long(1, free=PLENTY, budget=needs(1, 8_192)) == Fits((), 1, 8_192)
    never = long(4, free=needs(1, 2_048) - 1)
    assert isinstance(never, Never)
    assert never.needed_bytes == needs(1, CONTEXT_TOKENS_MIN)


def test_others_leave_for_the_whole_context_before_it_is_halved() -> None:
    footprint = Footprint(Shape(GB, cache_bytes_per_token=100_000))
    wanted = Wanted(footprint, 1, 32_768)
    room = Room(needs(1, 32_768) - GB + MARGIN_BYTES, PLENTY)
    assert verdict(wanted, [held(1, GB)], room) == Fits((1,), 1, 32_768)
    assert verdict(wanted, [held(1, GB, busy=True)], room) == Later((1,), 32_768)


def test_contexts_are_halves_down_to_the_shortest_of_use() -> None:
    assert contexts(32_768) == (32_768, 16_384, 8_192, 4_096, 2_048)
    assert contexts(3_000) == (3_000, 2_048)
    assert contexts(512) == (512,)


@given(
    base=SIZES, slot=SIZES, slots_max=st.integers(1, 8), others=OTHERS,
    free=st.integers(-20, 120), budget=st.integers(0, 120),
    context_tokens=st.sampled_from([256, 2048, 8192]),
)  # fmt: skip
def test_whatever_is_held_no_bound_is_passed_and_nobody_leaves_who_must_not(
    base: int,
    slot: int,
    slots_max: int,
    *,
    others: list[Held],
    free: int,
    budget: int,
    context_tokens: int,
) -> None:
    footprint = Footprint(Shape(base * KB, cache_bytes_per_token=slot))
    free, budget = free * KB + PROCESS_BYTES, budget * KB + PROCESS_BYTES
    others = [
        held(each.key, each.claim_bytes * KB, busy=each.busy, used_s=each.used_s) for each in others
    ]
    wanted = Wanted(footprint, slots_max, context_tokens)
    decided = verdict(wanted, others, Room(free + MARGIN_BYTES, budget))
    by_key = {each.key: each for each in others}
    idle = sum(each.claim_bytes for each in others if not each.busy)
    busy = sum(each.claim_bytes for each in others if each.busy)

    def could_ever(tokens: int) -> bool:
        return min(free + idle + busy, budget) >= footprint.taken_bytes(1, tokens)

    longest = next((tokens for tokens in contexts(context_tokens) if could_ever(tokens)), None)
    if isinstance(decided, Never):
        assert longest is None
        return
    assert decided.context_tokens == longest
    needed = footprint.taken_bytes(1, longest)
    if isinstance(decided, Later):
        assert min(free + idle, budget - busy) < needed, "it could have been loaded"
        assert all(by_key[key].busy for key in decided.leave)
        return
    left = [by_key[key] for key in decided.leave]
    stay = [each for each in others if each.key not in decided.leave]
    taken = footprint.taken_bytes(decided.slots, longest)
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
        assert spare < needed
