"""The door, served on a real socket, over someone who answers as the test says."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from starlette.routing import BaseRoute

from mesh.door.app import door
from mesh.door.listening import listening
from mesh.testing import PlayedAsking, Step, delta, finished, started
from mesh.v1 import inference_pb2 as inference

MESSAGES = [{"role": "user", "content": "hi"}]
ASKED: dict[str, Any] = {"model": "auto", "messages": MESSAGES}
HELLO = (started(), delta("hel"), delta("lo"), finished())


@dataclass(frozen=True, slots=True)
class Served:
    """A door that is open."""

    asking: PlayedAsking
    http: httpx2.AsyncClient
    port: int

    async def chat(self, headers: dict[str, str] | None = None, **body: Any) -> httpx2.Response:
        return await self.http.post("/v1/chat/completions", json=ASKED | body, headers=headers)


@asynccontextmanager
async def open_door(
    *script: Step, views: Sequence[inference.ModelView] = (), pages: Sequence[BaseRoute] = ()
) -> AsyncIterator[Served]:
    """Open a door of a test's own."""
    asking = PlayedAsking(script or HELLO, views)
    async with (
        listening(door(asking, pages), 0) as port,
        httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http,
    ):
        yield Served(asking, http, port)


@pytest.fixture(scope="package")
async def _one_door() -> AsyncIterator[Served]:
    async with open_door() as opened:
        yield opened


@pytest.fixture
def served(_one_door: Served) -> Served:
    """A door that was asked nothing yet and says hello; on one socket, as closing takes time."""
    _one_door.asking.script = HELLO
    _one_door.asking.views = ()
    _one_door.asking.asked.clear()
    _one_door.asking.embedded.clear()
    _one_door.asking.begun = asyncio.Event()
    _one_door.asking.closed = asyncio.Event()
    return _one_door
