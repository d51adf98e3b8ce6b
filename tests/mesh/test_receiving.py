"""Who may receive how many requests at a time, and for how long."""

import asyncio

import pytest

from mesh import receiving
from mesh.errors import DeadlineExceeded, Overloaded
from mesh.receiving import AT_ONCE_MAX, OF_ONE_CALLER_MAX, Receiving


class Crowd:
    """Callers that receive until they are let go, and who of them is at it."""

    def __init__(self) -> None:
        self.turns = Receiving()
        self.at_it: list[str] = []
        self.done = asyncio.Event()

    async def receive(self, caller: str) -> None:
        async with self.turns.turn(caller):
            self.at_it.append(caller)
            await self.done.wait()
            self.at_it.remove(caller)


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_one_caller_takes_few_turns_and_all_together_so_many() -> None:
    crowd = Crowd()
    async with asyncio.TaskGroup() as tasks:
        for caller in "abcdef":
            for _ in range(10):
                tasks.create_task(crowd.receive(caller))
            await settle()
            assert crowd.at_it.count(caller) <= OF_ONE_CALLER_MAX
        assert crowd.at_it.count("a") == OF_ONE_CALLER_MAX
        assert len(crowd.at_it) == AT_ONCE_MAX
        crowd.done.set()
    assert not crowd.at_it


async def test_a_caller_with_too_many_waiting_is_refused_and_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(receiving, "WAITING_OF_ONE_CALLER_MAX", 6)
    crowd = Crowd()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(6):
            tasks.create_task(crowd.receive("a"))
        await settle()
        with pytest.raises(Overloaded, match="wait to be received"):
            await crowd.receive("a")
        tasks.create_task(crowd.receive("b"))
        await settle()
        assert "b" in crowd.at_it
        crowd.done.set()
    await crowd.receive("a")  # they have gone, and so has what was counted


async def test_whoever_sends_too_slowly_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiving, "WITHIN_S", 0.05)
    crowd = Crowd()
    with pytest.raises(DeadlineExceeded, match="not received within"):
        await crowd.receive("a")
    crowd.done.set()
    await crowd.receive("a")


async def test_whoever_leaves_while_waiting_takes_no_turn() -> None:
    crowd = Crowd()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(OF_ONE_CALLER_MAX):
            tasks.create_task(crowd.receive("a"))
        await settle()
        waiting = tasks.create_task(crowd.receive("a"))
        await settle()
        waiting.cancel()
        await settle()
        crowd.done.set()
    assert not crowd.at_it
    await crowd.receive("a")
