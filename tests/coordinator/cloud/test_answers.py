"""What may leave the mesh is answered by the upstream, with its usage and its price."""

import asyncio

import pytest

from coordinator.cloud import connection
from coordinator.cloud.upstream import Upstream
from coordinator.coordinator import Coordinator
from mesh.client import MeshClient
from mesh.cloud_settings import CloudSettings
from mesh.errors import Forbidden, MeshError, ModelNotFound, NoCapableNode
from mesh.v1 import inference_pb2 as inference
from tests.coordinator.cloud.asking import adapter
from tests.coordinator.cloud.conftest import KEY, MODEL
from tests.coordinator.cloud.played_upstream import Asked, PlayedUpstream, delta
from tests.coordinator.conftest import NewNode
from tests.coordinator.scripted_node import model


async def test_with_every_node_down_an_allowed_request_is_answered_with_its_price(
    client: MeshClient, upstream: PlayedUpstream
) -> None:
    answer = await client.ask("hi", tier="cloud")
    assert (answer.text, answer.finish_reason) == ("hello", "stop")
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (10, 2)
    assert not answer.usage.estimated
    receipt = answer.receipt
    assert receipt.tier == inference.TIER_CLOUD
    assert receipt.cost_microusd == 10 * 2 + 2 * 10
    assert receipt.price_version == "operator"
    [attempt] = receipt.attempts
    assert (attempt.model_name, attempt.node_id) == (MODEL, "")
    assert attempt.node_name == f"127.0.0.1:{upstream.port}"
    assert (attempt.cost_microusd, attempt.tier) == (40, inference.TIER_CLOUD)
    assert receipt.why == "cloud: no machine is attached to this mesh"
    assert upstream.connections == 1


async def test_the_upstream_gets_the_key_and_what_the_answer_is_made_from(
    client: MeshClient, upstream: PlayedUpstream
) -> None:
    await client.ask("hi", tier="cloud", max_tokens=7, temperature=0.5, seed=3, stop=["x"])
    [asked] = upstream.asked
    assert asked.line == "POST /v1/chat/completions HTTP/1.1"
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert asked.headers["accept-encoding"] == "identity"
    assert asked.body == {
        "model": MODEL,
        "messages": [{"role": "user", "content": "hi"}],
        "max_tokens": 7,
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.5,
        "seed": 3,
        "stop": ["x"],
    }


async def test_without_a_limit_the_upstream_is_told_the_one_that_money_is_kept_for(
    client: MeshClient, upstream: PlayedUpstream
) -> None:
    await client.ask("hi", tier="cloud")
    assert upstream.asked[0].body["max_tokens"] == 4096


async def test_the_answer_streams_as_it_comes(client: MeshClient, upstream: PlayedUpstream) -> None:
    go_on = asyncio.Event()

    async def halting(asked: Asked) -> None:
        await asked.begin()
        await asked.text("one ")
        await go_on.wait()
        await asked.text("two")
        await asked.event(delta({}, "length"))
        await asked.done()

    upstream.behave = halting
    seen: list[str] = []
    async with client.generate("hi", tier="cloud") as answer:
        async for piece in answer:
            seen.append(piece)
            go_on.set()
    assert seen == ["one ", "two"]
    assert answer.finish_reason == "length"
    assert answer.started.tier == inference.TIER_CLOUD
    assert answer.started.node_name == f"127.0.0.1:{upstream.port}"


async def test_a_node_is_asked_first_and_the_cloud_when_it_fails(
    client: MeshClient, upstream: PlayedUpstream, new_node: NewNode
) -> None:
    async with new_node(model("qwen")) as node:
        asking = asyncio.create_task(client.ask("hi", tier="cloud"))
        start = await node.told_to_start()
        assert upstream.connections == 0
        delivery = await node.deliver().open(start.attempt_id)
        await delivery.fail("node_lost", "the engine is gone")
        answer = await asking
    assert answer.text == "hello"
    assert [each.outcome for each in answer.receipt.attempts] == ["node_lost", "answered"]


async def test_tool_calls_reasoning_and_the_rest_pass_through(
    client: MeshClient, upstream: PlayedUpstream
) -> None:
    async def calls(asked: Asked) -> None:
        await asked.begin()
        await asked.event(delta({"reasoning_content": "hm"}))
        first = {"index": 0, "id": "a", "function": {"name": "look", "arguments": ""}}
        await asked.event(delta({"tool_calls": [first]}))
        await asked.event(delta({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}))
        second = {"index": 1, "id": "b", "function": {"name": "see", "arguments": '{"x":1}'}}
        await asked.event(delta({"tool_calls": [second]}))
        await asked.event(delta({}, "tool_calls"))
        await asked.done()

    upstream.behave = calls
    request = inference.GenerateRequest(
        request_id="r",
        model="cloud",
        messages=[inference.Message(role=inference.ROLE_USER, parts=[inference.Part(text="hi")])],
        tools=[inference.Tool(name="look"), inference.Tool(name="see")],
    )
    events = [event async for event in client.answer(request)]
    deltas = [event.delta for event in events if event.HasField("delta")]
    assert "".join(each.reasoning for each in deltas) == "hm"
    called = [call for each in deltas for call in each.tool_calls]
    assert [(call.id, call.name, call.arguments_json) for call in called] == [
        ("a", "look", "{}"),
        ("b", "see", '{"x":1}'),
    ]
    assert events[-1].finished.reason == inference.FINISH_REASON_TOOL_CALLS


# -- who may ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["cloud", MODEL, f"cloud:{MODEL}"])
async def test_naming_the_cloud_with_tier_mesh_is_forbidden(
    client: MeshClient, upstream: PlayedUpstream, name: str
) -> None:
    with pytest.raises(Forbidden, match="may not leave its mesh"):
        await client.ask("hi", model=name, tier="mesh")
    assert upstream.connections == 0


async def test_a_mesh_request_is_refused_with_a_clear_error(
    client: MeshClient, upstream: PlayedUpstream
) -> None:
    for tier in ("", "mesh", "device"):
        with pytest.raises(NoCapableNode, match="no machine is attached"):
            await client.ask("hi", tier=tier)
    assert upstream.connections == 0


async def test_the_name_cloud_says_that_the_prompt_may_leave(
    client: MeshClient, upstream: PlayedUpstream
) -> None:
    assert (await client.ask("hi", model="cloud")).text == "hello"
    assert (await client.ask("hi", model=f"cloud:{MODEL}")).text == "hello"
    with pytest.raises(Forbidden, match="ask with tier cloud"):
        await client.ask("hi", model=MODEL)
    assert len(upstream.asked) == 2


async def test_the_list_of_models_shows_the_clouds_by_the_name_that_says_so(
    client: MeshClient, upstream: PlayedUpstream
) -> None:
    [view] = await client.models()
    assert list(view.names) == [f"cloud:{MODEL}", MODEL]
    assert view.upstream == f"127.0.0.1:{upstream.port}"


async def test_an_unknown_model_is_not_the_clouds_business(
    client: MeshClient, upstream: PlayedUpstream, new_node: NewNode
) -> None:
    async with new_node(model("qwen")):
        with pytest.raises(ModelNotFound):
            await client.ask("hi", model="gpt", tier="cloud")
    assert upstream.connections == 0


# -- leaving ---------------------------------------------------------------------------------------


async def test_a_client_that_leaves_closes_the_connection_at_once(
    client: MeshClient, upstream: PlayedUpstream, coordinator: Coordinator, cloud: Upstream
) -> None:
    async def endless(asked: Asked) -> None:
        await asked.begin()
        await asked.text("so ")
        await asked.left()

    upstream.behave = endless
    async with client.generate("hi", tier="cloud") as answer:
        async for _ in answer:
            break
        [asked] = upstream.asked
    await asked.left()
    assert coordinator.loop.fleet.requests.running == 0
    assert cloud._gate._given == set(), "its money is settled"


async def test_the_deadline_closes_the_connection(
    client: MeshClient, upstream: PlayedUpstream
) -> None:
    async def silent(asked: Asked) -> None:
        await asked.left()

    upstream.behave = silent
    with pytest.raises(MeshError, match="ran out") as failed:
        await client.ask("hi", tier="cloud", timeout_s=0.2)
    assert failed.value.code == "deadline_exceeded"
    await upstream.asked[0].left()


async def test_a_client_that_left_has_spent_what_was_set_aside(
    client: MeshClient, upstream: PlayedUpstream, coordinator: Coordinator
) -> None:
    async def silent(asked: Asked) -> None:
        await asked.left()

    upstream.behave = silent
    request = inference.GenerateRequest(
        request_id="r",
        tier=inference.TIER_CLOUD,
        max_tokens=100,
        messages=[inference.Message(role=inference.ROLE_USER, parts=[inference.Part(text="hi")])],
        deadline_ms=200,
    )
    seen: list[inference.GenerateEvent] = []
    with pytest.raises(MeshError):
        await _collect(client, request, seen)
    receipt = seen[-1].failed.receipt
    assert receipt.cost_microusd > 100 * 10
    assert receipt.attempts[0].usage.estimated
    assert receipt.price_version == "operator"


async def _collect(
    client: MeshClient, request: inference.GenerateRequest, seen: list[inference.GenerateEvent]
) -> None:
    async for event in client.answer(request):
        seen.append(event)


async def test_connections_are_used_again_where_they_are_kept(
    cloud_settings: CloudSettings, upstream: PlayedUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "IDLE_CONNECTIONS_PLAIN_MAX", 8)  # as for https
    async with adapter(cloud_settings) as fleet:
        for _ in range(5):
            await fleet.ask()
    assert (upstream.connections, len(upstream.asked)) == (1, 5)


async def test_many_at_once_are_all_answered_and_settled(
    client: MeshClient, upstream: PlayedUpstream, cloud: Upstream
) -> None:
    answers = await asyncio.gather(*(client.ask("hi", tier="cloud") for _ in range(50)))
    assert [each.text for each in answers] == ["hello"] * 50
    assert cloud._gate._spending is not None
    assert cloud._gate._spending.left_microusd == 5_000_000 - 50 * 40
