"""Deltas of engines that tell no ids: counted, bounded, and joined as others are."""

import pytest

from mesh.core.generation import Delta, TokenLogprob
from mesh.errors import InvalidRequest
from mesh.v1 import inference_pb2 as inference
from mesh.wire.answers import DELTA_IDS_MAX, read_delta, read_event, tokens_of, write_delta

TOLD = TokenLogprob(0, -0.5, b"a", ())


def test_they_cross_the_wire_with_their_count() -> None:
    delta = Delta(3, (), "ab", without_ids=2)
    message = write_delta(delta)
    assert tokens_of(message) == delta.tokens == 2
    assert read_event(inference.GenerateEvent(delta=message)) == delta
    assert tokens_of(write_delta(Delta(0, (1, 2, 3), "abc"))) == 3


def test_several_are_joined_into_one_that_counts_them_all() -> None:
    joined = Delta.joined([Delta(0, (), "a", without_ids=1), Delta(1, (), "bc", without_ids=2)])
    assert (joined.token_offset, joined.tokens, joined.text) == (0, 3, "abc")


def test_log_probabilities_of_them_are_no_more_than_the_tokens_and_only_if_asked_for() -> None:
    asked = inference.GenerateRequest(logprobs=0)
    read_delta(write_delta(Delta(0, (), "ab", (TOLD, TOLD), without_ids=2)), asked)
    read_delta(write_delta(Delta(0, (), "ab", (TOLD,), without_ids=2)), asked)
    for delta, request in (
        (Delta(0, (), "a", (TOLD, TOLD), without_ids=1), asked),
        (Delta(0, (), "a", (TOLD,), without_ids=1), inference.GenerateRequest()),
        (Delta(0, (1,), "a", (), without_ids=0), asked),
    ):
        with pytest.raises(InvalidRequest, match="log-probabilities"):
            read_delta(write_delta(delta), request)


def test_a_count_that_is_absurd_is_refused() -> None:
    delta = write_delta(Delta(0, (), "a", without_ids=DELTA_IDS_MAX + 1))
    with pytest.raises(InvalidRequest, match="one batch"):
        read_delta(delta, inference.GenerateRequest())
