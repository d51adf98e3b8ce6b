"""The same prompt is never learned from and judged, however rows repeat it."""

import numpy as np
import pytest

from mesh.errors import InvalidRequest
from mesh.training.outcomes import Row
from mesh.training.splits import Split, folds, folds_without_domain, random_labels

ROWS = [
    Row(f"{'Prompt' if number % 2 else 'prompt'} {number // 3}", f"domain {number % 7}", {}, {})
    for number in range(210)
]


def shared_prompts(split: Split) -> set[str]:
    train, test = ({ROWS[at].prompt.lower() for at in side} for side in (split.train, split.test))
    return train & test


def test_each_row_is_judged_once_and_no_prompt_on_both_sides() -> None:
    found = list(folds(ROWS, 5, seed=0))
    assert sorted(np.concatenate([split.test for split in found])) == list(range(len(ROWS)))
    assert [shared_prompts(split) for split in found] == [set()] * 5
    assert max(len(split.test) for split in found) <= 45


def test_no_domain_is_on_both_sides() -> None:
    found = list(folds_without_domain(ROWS, 5, seed=0))
    assert len(found) == 5
    for split in found:
        train, test = ({ROWS[at].domain for at in side} for side in (split.train, split.test))
        assert not train & test
        assert shared_prompts(split) == set()


def test_labels_are_as_many_as_were_asked_for_and_the_rest_is_judged() -> None:
    split = random_labels(ROWS, 30, seed=1)
    assert len(split.train) == 30
    assert shared_prompts(split) == set()
    assert len(split.test) >= 210 - 3 * 30
    assert not np.array_equal(split.train, random_labels(ROWS, 30, seed=2).train)
    assert np.array_equal(split.train, random_labels(ROWS, 30, seed=1).train)


def test_what_cannot_be_split_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="fewer than two domains"):
        list(folds_without_domain([Row("a", "", {}, {}), Row("b", "", {}, {})], 2, seed=0))
    with pytest.raises(InvalidRequest, match="3 folds need"):
        list(folds(ROWS[:3], 3, seed=0))
    with pytest.raises(InvalidRequest, match="leave nothing"):
        random_labels(ROWS, 210, seed=0)
