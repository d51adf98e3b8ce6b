"""A load that flaps stays in its bucket."""

from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.discovery.load_bucket import LoadBucket, next_bucket

UNTIMED = settings(deadline=None, max_examples=30)  # busy machines are slow at random

BUCKETS = st.sampled_from(LoadBucket)
SHARES = st.floats(0, 1)


def test_a_rising_load_passes_through_every_level() -> None:
    bucket, seen = LoadBucket.IDLE, []
    for percent in range(101):
        bucket = next_bucket(bucket, percent / 100)
        seen.append(bucket)
    assert [seen.index(level) for level in LoadBucket] == [0, 30, 60, 90]


def test_a_falling_load_leaves_each_level_later_than_it_came() -> None:
    bucket, seen = LoadBucket.FULL, []
    for percent in range(100, -1, -1):
        bucket = next_bucket(bucket, percent / 100)
        seen.append(bucket)
    assert [100 - seen.index(level) for level in reversed(LoadBucket)] == [100, 79, 49, 19]


@UNTIMED
@given(BUCKETS, st.floats(0.05, 0.95), st.lists(st.floats(-0.05, 0.05), min_size=1, max_size=50))
def test_a_load_that_scatters_by_five_per_cent_settles_on_one_level(
    bucket: LoadBucket, load_share: float, scatter: list[float]
) -> None:
    for offset in (0.049, -0.049):  # wherever it was, it has met both ends of the scatter
        bucket = next_bucket(bucket, load_share + offset)
    after = {bucket := next_bucket(bucket, load_share + 0.98 * offset) for offset in scatter}
    assert len(after) == 1


@UNTIMED
@given(BUCKETS, SHARES)
def test_the_same_load_again_changes_nothing(bucket: LoadBucket, load_share: float) -> None:
    once = next_bucket(bucket, load_share)
    assert next_bucket(once, load_share) is once


@UNTIMED
@given(BUCKETS, st.floats(allow_nan=True, allow_infinity=True))
def test_any_number_gives_a_level(bucket: LoadBucket, load_share: float) -> None:
    assert next_bucket(bucket, load_share) in LoadBucket
