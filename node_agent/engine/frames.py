"""How the agent and an engine process talk: a 4-byte big-endian length, then that much JSON.

JSON, because the engine process parses files from anywhere and may be taken over by one: what it
sends is data to check and never code to run, as pickle would be. This module knows frames only;
``messages`` knows what they mean.
"""

import json
import struct
from collections.abc import Iterator, Mapping
from typing import NoReturn

# The largest frame is a prompt or its ids. Settings allow contexts of 1,048,576 tokens: 8 MB of
# ids, 4 to 5 MB of text. Twice the larger one leaves room for escapes and still bounds what a
# broken or hostile peer can make us hold.
FRAME_BYTES_MAX = 16 * 1024 * 1024

_LENGTH = struct.Struct(">I")


class FrameError(ValueError):
    """The other side of the pipe broke the protocol. Never leaves this package."""


class FrameTooLarge(ValueError):
    """Our own message does not fit a frame."""


def encode_frame(body: Mapping[str, object]) -> bytes:
    """Return ``body`` as one frame.

    Raises:
        FrameTooLarge: it is longer than FRAME_BYTES_MAX.
    """
    payload = _ENCODER.encode(body).encode()
    if len(payload) > FRAME_BYTES_MAX:
        raise FrameTooLarge(f"{len(payload)} bytes are more than a frame's {FRAME_BYTES_MAX}")
    return _LENGTH.pack(len(payload)) + payload


class FrameDecoder:
    """Cuts a stream of bytes into frames, however it arrives. Holds at most one frame."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[dict[str, object]]:
        """Yield the frames that ``data`` completes.

        Raises:
            FrameError: a length above FRAME_BYTES_MAX, or a payload that is no JSON object. The
                stream can't be read any further.
        """
        self._buffer += data
        while len(self._buffer) >= _LENGTH.size:
            (size_bytes,) = _LENGTH.unpack_from(self._buffer)
            if size_bytes > FRAME_BYTES_MAX:
                raise FrameError(f"a frame claims {size_bytes} bytes")
            end = _LENGTH.size + size_bytes
            if len(self._buffer) < end:
                return
            payload = bytes(memoryview(self._buffer)[_LENGTH.size : end])
            del self._buffer[:end]
            yield _object(payload)


def _object(payload: bytes) -> dict[str, object]:
    try:
        body = _DECODER.decode(payload.decode())
    except (ValueError, RecursionError) as failure:
        raise FrameError(f"a frame is not JSON ({type(failure).__name__})") from None
    if not isinstance(body, dict):
        raise FrameError("a frame is not a JSON object")
    return body


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


# Made once: json.dumps and json.loads make new ones for each call that isn't plain.
_ENCODER = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":")
)
_DECODER = json.JSONDecoder(parse_constant=_no_constant)
