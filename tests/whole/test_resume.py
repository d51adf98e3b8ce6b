"""An answer that was cut goes on through the whole mesh: coordinator, node, engine process."""

from contextlib import aclosing

import pytest

from mesh.cli.waiting import has_nodes, wait_for_mesh
from mesh.client import connect
from mesh.v1 import inference_pb2 as inference
from tests.whole.conftest import NewMachine, joined
from tests.whole.machine import WITHIN_S, Machine

COUNT = "Count from 1 to 60"


def request(request_id: str) -> inference.GenerateRequest:
    message = inference.Message(role=inference.ROLE_USER, parts=[inference.Part(text=COUNT)])
    sampling = inference.Sampling(temperature=1.0, seed=7)
    return inference.GenerateRequest(
        request_id=request_id, messages=[message], sampling=sampling, max_tokens=60
    )


async def test_an_answer_goes_on_from_what_its_client_holds(
    office: Machine, new_machine: NewMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESKMESH_HOME", str(office.home.root))
    desk = await joined(new_machine("desk"), office)
    async with desk.running("node"):
        await wait_for_mesh(office.home, has_nodes(1), within_s=WITHIN_S, what="node")
        async with connect() as client:
            whole = [event async for event in client.answer(request("whole"))]
            ids = [id_ for event in whole for id_ in event.delta.ids]
            text = "".join(event.delta.text for event in whole)
            started = inference.GenerationStarted()
            held: list[int] = []
            seen = ""
            async with aclosing(client.answer(request("cut"))) as events:
                async for event in events:
                    if event.HasField("started"):
                        started = event.started
                    held.extend(event.delta.ids)
                    seen += event.delta.text
                    if len(held) >= 10:
                        break
            resumed = request("resumed")
            resumed.model = "auto"
            resumed.resume.CopyFrom(
                inference.Resume(
                    prompt_ids=started.prompt_ids,
                    emitted_ids=held,
                    text_bytes_sent=len(seen.encode()),
                    seed=started.seed,
                    sampler_version=started.sampler_version,
                    model_id=started.model_id,
                    numerics=started.numerics,
                )
            )
            rest = [event async for event in client.answer(resumed)]
            offsets = [event.delta.token_offset for event in rest if event.HasField("delta")]
            assert offsets[0] == len(held)
            assert held + [id_ for event in rest for id_ in event.delta.ids] == ids
            assert seen + "".join(event.delta.text for event in rest) == text
            [finished] = [event.finished for event in rest if event.HasField("finished")]
            assert finished.usage.completion_tokens == len(ids) == 60
