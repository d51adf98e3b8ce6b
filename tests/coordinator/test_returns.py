"""A coordinator that comes back, and those who ask before its machines are back."""

import asyncio
import time
from pathlib import Path

import pytest

from coordinator.coordinator import Coordinator
from mesh.client import MeshClient
from mesh.core.actions import Action
from mesh.core.events import Event, RequestArrived
from mesh.dial import mesh_channel
from mesh.errors import NoCapableNode
from mesh.home import Home
from mesh.identity.keys import new_key
from mesh.identity.peer import PeerRole
from mesh.settings import Settings
from tests.coordinator.scripted_node import WITHIN_S, ScriptedNode, model

QWEN = model("qwen")


class Arrival:
    """Tells when a coordinator has taken in a request."""

    def __init__(self, coordinator: Coordinator) -> None:
        self.seen = asyncio.Event()
        handle = coordinator.loop.fleet.handle

        def heard(event: Event, now_s: float) -> list[Action]:
            if isinstance(event, RequestArrived):
                self.seen.set()
            return handle(event, now_s)

        coordinator.loop.fleet.handle = heard  # type: ignore[method-assign]


async def test_a_request_right_after_a_restart_waits_for_its_machine(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESKMESH_HOME", str(tmp_path))
    first = Coordinator(Home(tmp_path), settings)
    async with first.running():
        desk = first.household.authority.enrol(new_key(), PeerRole.NODE, now_s=time.time())
        async with mesh_channel(f"127.0.0.1:{first.ports.mesh}", desk) as channel:
            with pytest.raises(NoCapableNode, match="no machine is attached"):
                await MeshClient(channel).ask("hi")  # of a new mesh nobody is to come back
    second = Coordinator(Home(tmp_path), settings)
    async with second.running():
        address = f"127.0.0.1:{second.ports.mesh}"
        async with mesh_channel(address, desk) as channel:
            arrival = Arrival(second)
            asking = asyncio.create_task(MeshClient(channel).ask("hi", model="qwen"))
            async with asyncio.timeout(WITHIN_S):
                await arrival.seen.wait()
            async with ScriptedNode(address, desk, QWEN) as node:
                start = await node.told_to_start()
                await node.deliver().answer(start.attempt_id, "hello")
                answer = await asking
    assert answer.text == "hello"
    assert answer.receipt.queued_s > 0
