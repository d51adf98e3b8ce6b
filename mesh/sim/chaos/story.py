"""What happened and what was decided: a digest that two runs can be compared by, and its end."""

from collections import deque
from collections.abc import Iterator
from dataclasses import fields
from hashlib import blake2b
from typing import Any

from mesh.core.actions import Action
from mesh.core.events import Event
from mesh.core.receipt import Receipt

TAIL_MAX = 60  # events remembered, for whoever looks for what went wrong
_SHOWN_MAX = 200  # characters of one event or action


class Story:
    """Mutable; ``tell`` follows each event."""

    def __init__(self) -> None:
        self._digest = blake2b(digest_size=16)
        self._tail: deque[tuple[float, Event, list[Action]]] = deque(maxlen=TAIL_MAX)

    @property
    def digest(self) -> str:
        """Of every action and its time."""
        return self._digest.hexdigest()

    def tell(self, event: Event, decided: list[Action], now_s: float) -> None:
        self._tail.append((now_s, event, decided))
        for action in decided:
            self._digest.update(f"{now_s!r} {type(action).__name__} {_whose(action)}\n".encode())

    def tail(self) -> Iterator[str]:
        """Yield lines: an event, and below it what was decided. Events without a trace are left
        out, apart from the last."""
        last = len(self._tail) - 1
        for number, (now_s, event, decided) in enumerate(self._tail):
            if decided or number == last:
                yield f"{now_s:10.3f} {_shown(event)}"
                yield from (f"{'':10} -> {_shown(action)}" for action in decided)


def _whose(action: Any) -> object:
    """What tells an action from another of its kind."""
    for name in ("attempt_id", "key", "connection_id"):
        if (value := getattr(action, name, None)) is not None:
            return value
    return ""


def _shown(happened: Any) -> str:
    """Write an event or action in one line; a receipt as the number of its attempts."""
    parts = []
    for field in fields(happened):
        value = getattr(happened, field.name)
        if isinstance(value, Receipt):
            value = f"{len(value.attempts)} attempts"
        parts.append(f"{field.name}={value!r}")
    return f"{type(happened).__name__}({', '.join(parts)})"[:_SHOWN_MAX]
