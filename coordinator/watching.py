"""Those who follow requests from outside of the fleet: the ledger, the page, the metrics."""

from typing import Protocol

from mesh.core.actions import SendMoved, SendStarted
from mesh.core.receipt import Receipt
from mesh.core.types import Failure, Request


class Watcher(Protocol):
    """Is called in the way of the answer: it takes microseconds, never waits and never raises."""

    def request_arrived(self, request: Request) -> None:
        """Before anything is decided on it."""
        ...

    def request_started(self, started: SendStarted) -> None:
        """Somebody begins to answer it; again, if that one fails before the first token."""
        ...

    def request_moved(self, moved: SendMoved) -> None:
        """Another machine goes on with an answer, as the one that gave it failed."""
        ...

    def request_ended(self, request: Request, receipt: Receipt, failure: Failure | None) -> None:
        """Exactly once, before its client hears of it. ``failure`` is None for an answer."""
        ...
