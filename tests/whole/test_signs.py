"""The way of a model's doubts, from a real engine through a real node into the core."""

from dataclasses import replace

import pytest

from coordinator.coordinator import Coordinator
from mesh.cli.waiting import has_nodes, wait_for_mesh
from mesh.client import connect
from mesh.core.actions import Action, StartAttempt
from mesh.core.events import AttemptProgressed, Event
from mesh.core.fleet import Fleet
from mesh.settings import DiscoverySettings, PortSettings, Settings
from mesh.v1 import inference_pb2 as inference
from tests.whole.conftest import NewMachine, joined
from tests.whole.machine import WITHIN_S


def request(text: str) -> inference.GenerateRequest:
    message = inference.Message(role=inference.ROLE_USER, parts=[inference.Part(text=text)])
    sampling = inference.Sampling(temperature=0.0, seed=1)
    return inference.GenerateRequest(
        request_id="r", messages=[message], sampling=sampling, max_tokens=40
    )


async def test_the_core_hears_how_sure_a_model_was_of_each_token_and_no_client_does(
    new_machine: NewMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = new_machine("office")
    monkeypatch.setenv("DESKMESH_HOME", str(office.home.root))
    asked, heard, handle = True, [], Fleet.handle

    def recording(fleet: Fleet, event: Event, now_s: float) -> list[Action]:
        if isinstance(event, AttemptProgressed):
            heard.append(event)
        return [
            replace(action, signs=asked) if isinstance(action, StartAttempt) else action
            for action in handle(fleet, event, now_s)
        ]

    monkeypatch.setattr(Fleet, "handle", recording)
    ports = PortSettings(mesh=0, join=0, local=0, http=0)
    settings = Settings(ports=ports, discovery=DiscoverySettings(multicast=False))
    coordinator = Coordinator(office.home, settings)
    async with coordinator.running():
        desk = await joined(new_machine("desk"), office)
        address = f"127.0.0.1:{coordinator.ports.local}"
        async with desk.running("node"), connect(address) as client:
            await wait_for_mesh(office.home, has_nodes(1), within_s=WITHIN_S, what="node")
            told = [event async for event in client.answer(request("Reverse the word: mesh"))]
            surely, asked = heard.copy(), False
            heard.clear()
            plain = [event async for event in client.answer(request("Reverse the word: mesh"))]
    signs = [sign for event in surely for sign in event.signs]
    ids = [token for event in told for token in event.delta.ids]
    assert len(signs) == len(ids) >= 4
    assert all(sign.rank == 0 and 0.9 < sign.top[0] <= 1 for sign in signs)
    assert all(event.signs == () for event in heard)
    for events in (told, plain):
        assert all(event.delta.signs == b"" for event in events)
        assert "".join(event.delta.text for event in events).strip() == "hsem"
        assert [token for event in events for token in event.delta.ids] == ids
