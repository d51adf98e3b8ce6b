"""What the agent asked of the engine process, between the three threads that work on it.

The reader takes messages in, the main thread makes prompts of them, and the model's thread answers.
A cancellation counts from the moment it is read, wherever its request is by then.
"""

from collections import deque
from collections.abc import Callable, Set
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Condition
from typing import TYPE_CHECKING

from mesh.core.generation import Generation
from mesh.errors import MeshError
from node_agent.engine.abort import AbortFlag
from node_agent.engine.messages import Asked, Cancel, CountTokens, Embed, Generate, Save, ToEngine
from node_agent.engine.reply import PLAIN, Reading

if TYPE_CHECKING:
    from node_agent.engine.constraint import Constraint


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the model reads before its answer, and what it may answer."""

    ids: tuple[int, ...]
    constraint: "Constraint | None" = None  # None: anything
    reading: Reading = PLAIN


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request whose prompt is made, or the reason why it can't be."""

    number: int
    work: Generation
    prompt: Prompt | MeshError


class Inbox:
    """Open requests: from when they are read until ``ended``.

    It holds at most as many as the agent sends, which is one for each slot, and some to be counted.
    """

    def __init__(self, abort: AbortFlag, drop: Callable[[int], None] = lambda number: None) -> None:
        """``drop`` tells the agent that a request was cancelled before anybody looked at it."""
        self._abort = abort
        self._drop = drop
        self._asked: SimpleQueue[Asked] = SimpleQueue()
        self._unread: set[int] = set()  # of those: they wait for whoever makes prompts
        self._dropped: set[int] = set()  # of those that nobody wants any more
        self._prepared: deque[Prepared] = deque()
        self._open: set[int] = set()
        self._cancelled: set[int] = set()  # of those that are open
        self._in_step: Set[int] = frozenset()  # those whose tokens the model is working on
        self._changed = Condition()
        self._to_save = False

    def put(self, message: ToEngine) -> None:
        """Take a message of the agent's; called by the reader."""
        with self._changed:
            match message:
                case Generate(number, _) | Embed(number, _):
                    self._open.add(number)
                    self._unread.add(number)
                    self._asked.put(message)
                case CountTokens():  # never cancelled
                    self._asked.put(message)
                case Cancel(number) if number in self._unread:
                    self._unread.discard(number)
                    self._open.discard(number)
                    self._dropped.add(number)
                    self._drop(number)
                case Cancel(number) if number in self._open:
                    self._cancelled.add(number)
                    self._abort_if_for_nobody()
                case Save():
                    self._to_save = True
                    self._changed.notify()
                case Cancel():
                    pass  # it has crossed with the end of its request

    def asked(self) -> Asked:
        """Wait for the next request that needs a prompt; called by the main thread."""
        while True:
            message = self._asked.get()
            with self._changed:
                self._unread.discard(message.request)
                if message.request not in self._dropped:
                    return message
                self._dropped.discard(message.request)

    def prepared(self, request: Prepared) -> None:
        """Pass it on to the model's thread."""
        with self._changed:
            self._prepared.append(request)
            self._changed.notify()

    @property
    def quiet(self) -> bool:
        """Whether nobody asks for anything, nor waits for a prompt to be made."""
        with self._changed:
            return not self._open

    def news(
        self, *, wait: bool, timeout_s: float | None = None
    ) -> tuple[list[Prepared], frozenset[int]]:
        """Return what was prepared since, and who is cancelled and not ended yet.

        Called by the model's thread, as all below. With ``wait`` it waits for something prepared,
        or to be saved, but no longer than ``timeout_s``.
        """
        with self._changed:
            if wait:
                self._changed.wait_for(lambda: self._prepared or self._to_save, timeout_s)
            prepared = list(self._prepared)
            self._prepared.clear()
            return prepared, frozenset(self._cancelled)

    def take_save(self) -> bool:
        """Whether the slots are to be saved now; true once for each time it was asked."""
        with self._changed:
            to_save, self._to_save = self._to_save, False
            return to_save

    def begin_step(self, numbers: Set[int]) -> None:
        """The model is to work for these. Once all of them are cancelled, it is broken off."""
        with self._changed:
            self._abort.clear()
            self._in_step = numbers
            self._abort_if_for_nobody()

    def ended(self, number: int) -> None:
        """Its last message was sent."""
        with self._changed:
            self._open.discard(number)
            self._cancelled.discard(number)

    def _abort_if_for_nobody(self) -> None:
        if self._in_step and self._in_step <= self._cancelled:
            self._abort.set()
