"""Tool calls stream in pieces; one rule tells which piece belongs to which call."""

from dataclasses import dataclass, field

from mesh.v1 import inference_pb2 as inference


@dataclass(slots=True)
class CallPieces:
    """Gives each piece of an answer's tool calls its place.

    A piece with an id that was not there before begins a call; one with a known id, or without any,
    continues that call, or the last, with more of its arguments.
    """

    prefix: str  # of the ids of calls that came without one; calls are answered by id
    _places: dict[str, int] = field(default_factory=dict)
    _last: int = -1

    def place(self, piece: inference.ToolCall) -> tuple[int, str]:
        """Return the index of the call that ``piece`` is of, and its id, which is empty if the
        call has begun before."""
        known = self._places.get(piece.id) if piece.id else self._last
        if known is not None and known >= 0:
            self._last = known
            return known, ""
        self._last = len(self._places)
        call_id = piece.id or f"{self.prefix}{self._last}"
        self._places[call_id] = self._last
        return self._last, call_id
