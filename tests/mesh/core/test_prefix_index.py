"""Who holds the beginning of a prompt is found by the longest of its blocks that anyone told."""

from hypothesis import given
from hypothesis import strategies as st

from mesh.core.prefix_index import FOUND_MAX, Found, PrefixIndex
from mesh.core.types import NodeId, PrefixHeld

DESK, SHELF = NodeId("desk"), NodeId("shelf")


def test_each_node_counts_with_the_most_that_it_holds() -> None:
    index = PrefixIndex()
    index.keep(DESK, (PrefixHeld(3, 300), PrefixHeld(2, 200)))
    index.keep(SHELF, (PrefixHeld(2, 210), PrefixHeld(9, 900)))
    assert index.find((1, 2, 3, 4)) == {DESK: Found(300, 1536), SHELF: Found(210, 1024)}
    assert index.find((7, 8)) == {}


def test_what_a_node_no_longer_tells_is_forgotten() -> None:
    index = PrefixIndex()
    index.keep(DESK, (PrefixHeld(1, 100),))
    index.keep(DESK, (PrefixHeld(2, 200),))
    assert index.find((1,)) == {}
    index.keep(DESK, ())
    assert index == PrefixIndex()


def test_of_a_beginning_that_everybody_holds_a_few_nodes_are_told() -> None:
    index = PrefixIndex()
    for number in range(1000):
        index.keep(NodeId(str(number)), (PrefixHeld(1, 100),))
    assert len(index.find((1, 2))) == FOUND_MAX


def test_no_more_tokens_are_taken_to_be_held_than_the_bytes_make() -> None:
    assert Found(tokens=100, prompt_bytes=512).of(1024, 256) == 100
    assert Found(tokens=2**63, prompt_bytes=512).of(1024, 256) == 128
    assert Found(tokens=2**63, prompt_bytes=5120).of(1024, 256) == 256
    assert Found(tokens=-5, prompt_bytes=512).of(0, 0.0) == 0


held = st.lists(st.builds(PrefixHeld, st.integers(0, 3), st.integers(-1, 2**64)), max_size=5).map(
    tuple
)


@given(st.lists(st.tuples(st.sampled_from("abc"), held), max_size=20))
def test_when_all_have_gone_nothing_is_left(told: list[tuple[str, tuple[PrefixHeld, ...]]]) -> None:
    index = PrefixIndex()
    for name, prefixes in told:
        index.keep(NodeId(name), prefixes)
    for name in "abc":
        index.keep(NodeId(name), ())
    assert index == PrefixIndex()
