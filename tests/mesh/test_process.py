"""How a process that is told to stop says so."""

import asyncio
import logging
from collections.abc import Callable

import pytest

from mesh import process
from mesh.process import SUPERVISED, until_stopped


class Played:
    """A platform that tells to stop at once."""

    def hear_stop(self, stop: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_soon(stop)

    async def hear_end_of_input(self, stop: Callable[[], None]) -> None:
        """The parent lives on."""


async def _until_told(stopping: asyncio.Event) -> None:
    await stopping.wait()


@pytest.mark.parametrize(("supervised", "lines"), [(False, 1), (True, 0)])
async def test_a_child_leaves_it_to_its_parent_to_say_that_they_stop(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    supervised: bool,
    lines: int,
) -> None:
    monkeypatch.setattr(process, "HERE", Played())
    monkeypatch.delenv(SUPERVISED, raising=False)
    if supervised:
        monkeypatch.setenv(SUPERVISED, "1")
    caplog.set_level(logging.INFO)
    await until_stopped(_until_told)
    assert len(caplog.records) == lines
