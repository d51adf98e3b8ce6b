"""What leaves for a coordinator, which takes no more than so much at once."""

from mesh.core.generation import Delta
from mesh.v1 import inference_pb2 as inference
from mesh.wire.answers import DELTA_CHARACTERS_MAX, read_delta, write_delta
from node_agent.outgoing import pieces_of


def test_a_long_text_leaves_in_parts_that_a_coordinator_takes() -> None:
    """As of a call that broke off: it is given back as text, at once."""
    text = "".join(chr(97 + at % 26) for at in range(2 * DELTA_CHARACTERS_MAX + 5))
    parts = list(pieces_of(Delta(7, (1, 2), text, reasoning="hm")))
    assert "".join(part.text for part in parts) == text
    assert [part.token_offset for part in parts] == [7, 9, 9]
    assert [part.ids for part in parts] == [(1, 2), (), ()]
    for part in parts:
        read_delta(write_delta(part), inference.GenerateRequest())


def test_a_short_one_leaves_as_it_is() -> None:
    delta = Delta(0, (1,), "a")
    assert list(pieces_of(delta)) == [delta]
