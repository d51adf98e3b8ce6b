"""A training step's arrays hold what the conversations said, and weigh it as they should."""

import numpy
import pytest

from models.corpus import Conversation, conversations
from models.groups import Group, groups
from models.recipe import RECIPES

DRAWN = conversations(RECIPES["test-tiny"], 5)


def said(group: Group) -> list[tuple[int, int, int]]:
    """Return (row, token before, token learned) of everything that a group teaches."""
    length = group.ids.shape[1]
    return [
        (place // length, int(group.ids.flat[place]), int(target))
        for place, target in zip(group.places.tolist(), group.targets, strict=True)
    ]


def learned(conversation: Conversation) -> list[tuple[int, int]]:
    """Return (token before, token) of each token that a conversation teaches."""
    places = [at for at, taught in enumerate(conversation.learned) if taught]
    return [(conversation.ids[at - 1], conversation.ids[at]) for at in places]


def test_every_learned_token_is_a_target_after_the_token_before_it() -> None:
    taught = sorted(pair for one in DRAWN for pair in learned(one))
    assert sorted((before, token) for g in groups(DRAWN) for _, before, token in said(g)) == taught


def test_the_weights_of_a_step_sum_to_one() -> None:
    assert sum(float(g.weights.sum()) for g in groups(DRAWN)) == pytest.approx(1, abs=1e-5)


def test_a_conversation_weighs_as_the_root_of_what_it_teaches() -> None:
    short, long = (
        Conversation([1, 2], [False, True]),
        Conversation([1, 2, 3, 4, 5], [False, *[True] * 4]),
    )
    (group,) = groups([short, long])
    rows = group.places // group.ids.shape[1]
    weights = [float(group.weights[rows == row].sum()) for row in (0, 1)]
    assert weights[1] / weights[0] == pytest.approx(2)


def test_conversations_of_one_length_share_a_group_and_none_is_cut() -> None:
    for group in groups(DRAWN):
        assert group.ids.shape[0] >= 2, "a compiler makes a kernel of its own for one row"
        assert group.ids.shape[1] % 8 == 0
    tokens = sum(int(numpy.count_nonzero(group.ids)) for group in groups(DRAWN))
    assert tokens == sum(len(one.ids) - 1 for one in DRAWN)
