"""Server-sent events, decoded as far as upstreams use them, within bounds."""

from mesh.errors import NodeLost

# A chunk has a few hundred bytes; one with a whole answer of 30,000 tokens, a tenth of this.
EVENT_BYTES_MAX = 1024 * 1024


class EventStream:
    """Takes bytes as they come and gives the data of each whole event.

    Comments and other fields are passed over. What is cut off at the end is no event.

    Source: WHATWG HTML, section 9.2.6, "Interpreting an event stream".
    """

    def __init__(self) -> None:
        self._rest = bytearray()  # of a line that is not whole yet; a trickle costs no copies
        self._data: list[bytes] = []  # lines of an event that is not whole yet
        self._data_bytes = 0
        self._skip_feed = False  # the last line ended in CR: an LF after it is no line

    def feed(self, part: bytes) -> list[str]:
        """Return the data of the events that ``part`` completes.

        Raises:
            NodeLost: an event is too large, or not UTF-8.
        """
        if self._skip_feed and part:
            part = part.removeprefix(b"\n")
        self._skip_feed = part.endswith(b"\r")
        *lines, rest = part.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        events: list[str] = []
        for line in lines:
            self._rest += line
            if (event := self._line(bytes(self._rest))) is not None:
                events.append(event)
            self._rest.clear()
        self._rest += rest
        if len(self._rest) + self._data_bytes > EVENT_BYTES_MAX:
            raise NodeLost(f"the upstream sent an event of more than {EVENT_BYTES_MAX} bytes")
        return events

    def _line(self, line: bytes) -> str | None:
        if not line:
            data, self._data, self._data_bytes = b"\n".join(self._data), [], 0
            return _text(data) if data else None
        if line.startswith(b"data:"):
            self._data.append(line[5:].removeprefix(b" "))
            self._data_bytes += len(line)
        return None


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise NodeLost("the upstream sent what is not UTF-8") from None
