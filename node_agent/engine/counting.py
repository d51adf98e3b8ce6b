"""Prompts that an engine counts the tokens of: beside its answers, and bounded like them."""

import asyncio

from mesh.errors import MeshError, Overloaded
from node_agent.engine.frames import FrameError

# Prompts that an engine has to count at a time. Each takes milliseconds, a hostile template 2 s: so
# many of those are counted before the process would be taken to hang.
AT_ONCE = 8
WAITING_MAX = 64  # further ones, as many as wait for a slot; each holds its prompt


class Counting:
    """Each one takes a turn, which ends when the engine has answered, whoever still waits."""

    def __init__(self) -> None:
        self._open: dict[int, asyncio.Future[int]] = {}
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    def __contains__(self, number: int) -> bool:
        return number in self._open

    async def turn(self, name: str) -> None:
        """Wait for a turn; ``begin`` or ``give_back`` follows.

        Raises:
            Overloaded: too many wait for the engine of this name.
        """
        if self._waiting >= WAITING_MAX:
            raise Overloaded(f"the engine of {name} is busy", hint="ask again in a moment")
        self._waiting += 1
        try:
            await self._turns.acquire()
        finally:
            self._waiting -= 1

    def give_back(self) -> None:
        """The turn is not used."""
        self._turns.release()

    def begin(self, number: int) -> asyncio.Future[int]:
        """Return what will hold the count of the prompt with this number, or why there is none."""
        counted = self._open[number] = asyncio.get_running_loop().create_future()
        return counted

    def end(self, number: int, result: int | MeshError) -> None:
        """Raises FrameError: nobody asked."""
        if number not in self._open:
            raise FrameError("it answered what was not asked")
        counted = self._open.pop(number)
        self._turns.release()
        if isinstance(result, MeshError):
            counted.set_exception(result)
            counted.exception()  # whoever asked may have gone: then it is nobody's
        else:
            counted.set_result(result)

    def end_all(self, failure: MeshError) -> None:
        """The engine is gone."""
        for number in list(self._open):
            self.end(number, failure)
