"""A pool is a set that can be walked from anywhere."""

from collections import Counter
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from mesh.core.node import Replica
from mesh.core.pool import Pool
from tests.mesh.core.script import LLAMA, Script

COUNT = 6


def replicas() -> list[Replica]:
    script = Script()
    for i in range(COUNT):
        script.attach(f"n{i}", LLAMA)
    return [script.node(f"n{i}").replicas[LLAMA.model_id] for i in range(COUNT)]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, COUNT - 1))), st.integers())
def test_a_pool_holds_what_was_added_and_not_discarded(
    changes: list[tuple[bool, int]], seed: int
) -> None:
    known, pool, expected = replicas(), Pool(), set[str]()
    for add, which in changes:
        node_id = known[which].node.node_id
        pool.keep(known[which], add)
        expected = expected | {node_id} if add else expected - {node_id}
        walked = [each.node.node_id for each in pool.walk(Random(seed))]
        assert sorted(walked) == sorted(expected)
        assert len(pool) == len(expected)
        assert all((each.node.node_id in pool) == (each.node.node_id in expected) for each in known)


def test_a_newer_replica_takes_the_place_of_an_older_one() -> None:
    older, newer = replicas()[0], replicas()[0]
    pool = Pool()
    pool.keep(older, True)
    pool.keep(newer, True)
    assert [each is newer for each in pool.walk()] == [True]


def test_a_walk_begins_anywhere() -> None:
    pool, rng = Pool(), Random(1)
    for replica in replicas():
        pool.keep(replica, True)
    first = Counter(next(pool.walk(rng)).node.node_id for _ in range(600))
    assert len(first) == COUNT
    assert min(first.values()) > 60  # 100 each, give or take


def test_an_empty_pool_is_walked_at_once() -> None:
    assert list(Pool().walk(Random(1))) == []
