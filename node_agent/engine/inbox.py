"""What the agent asked of the engine process: one thread fills it, another works it off."""

from queue import SimpleQueue
from threading import Lock

from node_agent.engine.abort import AbortFlag
from node_agent.engine.messages import Cancel, Generate, ToEngine


class Inbox:
    """Requests in the order of their numbers. A cancelled one is broken off, or never begun.

    It holds at most as many requests as there are slots: the agent sends no more.
    """

    def __init__(self, abort: AbortFlag) -> None:
        self._abort = abort
        self._waiting: SimpleQueue[Generate] = SimpleQueue()
        self._cancelled: set[int] = set()  # of those that wait
        self._current = 0  # the last request taken; those before it have ended
        self._lock = Lock()

    def put(self, message: ToEngine) -> None:
        """Take a message of the agent's; called by the reading thread."""
        match message:
            case Generate():
                self._waiting.put(message)
            case Cancel(request):
                self._cancel(request)

    def take(self) -> Generate:
        """Wait for the next request and begin it; the abort flag is then about this one.

        The flag is set already where the request was cancelled while it waited.
        """
        request = self._waiting.get()
        with self._lock:
            self._current = request.request
            self._abort.clear()
            if request.request in self._cancelled:
                self._cancelled.discard(request.request)
                self._abort.set()
        return request

    def _cancel(self, request: int) -> None:
        with self._lock:
            if request == self._current:
                self._abort.set()
            elif request > self._current:
                self._cancelled.add(request)
