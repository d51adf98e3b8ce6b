"""Frames survive any cutting of the stream, and nothing but frames gets through."""

import json
import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node_agent.engine.frames import (
    FRAME_BYTES_MAX,
    FrameDecoder,
    FrameError,
    FrameTooLarge,
    encode_frame,
)

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
bodies = st.dictionaries(st.text(), values, max_size=4)


def framed(payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + payload


@given(st.lists(bodies, max_size=5), st.integers(min_value=1, max_value=20))
def test_frames_arrive_whole_however_the_stream_is_cut(
    sent: list[dict[str, object]], step: int
) -> None:
    stream = b"".join(map(encode_frame, sent))
    decoder = FrameDecoder()
    cuts = [stream[at : at + step] for at in range(0, len(stream), step)]
    assert [body for cut in cuts for body in decoder.feed(cut)] == sent


@given(st.binary(max_size=200))
def test_any_bytes_are_frames_or_an_error(data: bytes) -> None:
    with suppress(FrameError):
        assert all(isinstance(body, dict) for body in FrameDecoder().feed(data))


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"not json", id="text"),
        pytest.param(b"\xff\xfe{}", id="not-utf-8"),
        pytest.param(b"[1]", id="a-list"),
        pytest.param(b'{"n": NaN}', id="nan"),
        pytest.param(b'{"n": Infinity}', id="infinity"),
        pytest.param(b'{"n": ' + b"9" * 10_000 + b"}", id="a-number-of-10000-digits"),
        pytest.param(b"[" * 200_000, id="deep-nesting"),
        pytest.param(b'{"a": 1} {"b": 2}', id="two-objects"),
    ],
)
def test_a_payload_that_is_no_json_object_is_refused(payload: bytes) -> None:
    with pytest.raises(FrameError):
        list(FrameDecoder().feed(framed(payload)))


def test_a_length_beyond_the_limit_is_refused_before_anything_of_it_is_held() -> None:
    with pytest.raises(FrameError, match="claims"):
        list(FrameDecoder().feed(struct.pack(">I", FRAME_BYTES_MAX + 1)))


def test_the_largest_frame_passes_and_one_byte_more_does_not() -> None:
    room = FRAME_BYTES_MAX - len(json.dumps({"t": ""}, separators=(",", ":")))
    assert list(FrameDecoder().feed(encode_frame({"t": "x" * room})))
    with pytest.raises(FrameTooLarge):
        encode_frame({"t": "x" * (room + 1)})


def test_a_number_that_json_does_not_have_is_not_sent() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        encode_frame({"n": float("nan")})
