"""How sure a model was travels beside its tokens, and no further than it must."""

import pytest

from mesh.core.actions import StartAttempt
from mesh.core.generation import Delta
from mesh.core.signs import SIGN_BYTES, TokenSign
from mesh.core.types import AttemptId, Epoch, ModelId, RequestKey
from mesh.v1 import fleet_pb2 as fleet
from mesh.v1 import inference_pb2 as inference
from mesh.wire.answers import read_event, take_signs, write_delta
from mesh.wire.commands import write_start

SIGNS = (TokenSign((0.75, 0.125, 0.0625, 0.0), 0), TokenSign((0.25, 0.25, 0.25, 0.125), 10))
DELTA = Delta(3, (7, 8), "ab", signs=SIGNS)


def sent(delta: Delta) -> inference.GenerationDelta:
    return inference.GenerationDelta.FromString(write_delta(delta).SerializeToString())


def test_signs_survive_the_wire_and_are_taken_out_of_what_clients_get() -> None:
    received = sent(DELTA)
    assert take_signs(received) == SIGNS
    assert received == write_delta(Delta(3, (7, 8), "ab"))
    assert take_signs(received) == ()


def test_a_delta_of_a_node_that_knows_no_signs_has_none() -> None:
    assert take_signs(inference.GenerationDelta(ids=[1, 2], text="ab")) == ()


@pytest.mark.parametrize(
    "signs", [b"x", b"\xff" * 2 * SIGN_BYTES, bytes(SIGN_BYTES), b"\0" * 1_000_000]
)
def test_signs_that_are_none_are_dropped_and_the_tokens_stay(signs: bytes) -> None:
    received = sent(DELTA)
    received.signs = signs
    assert take_signs(received) == ()
    assert received == write_delta(Delta(3, (7, 8), "ab"))


def test_a_client_is_told_none_even_if_some_were_passed_on() -> None:
    event = inference.GenerateEvent(delta=write_delta(DELTA))
    assert read_event(event) == Delta(3, (7, 8), "ab")


@pytest.mark.parametrize("asked", [True, False])
def test_a_start_says_whether_signs_are_wanted(asked: bool) -> None:
    key = RequestKey("ann", "r1")
    action = StartAttempt(AttemptId(1), 1, Epoch(1), key, ModelId("m"), 9.0, signs=asked)
    request = inference.GenerateRequest(request_id="r1")
    command = write_start(action, request, batch_interval_ms=0, batch_tokens_max=1)
    received = fleet.CoordinatorMessage.FromString(command.SerializeToString())
    assert received.start.signs is asked
