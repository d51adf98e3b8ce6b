"""Attempts of a coordinator on an adopted engine: over the mesh's own wire, from a real socket."""

from collections.abc import Callable

import pytest

from mesh.core.types import Tier
from mesh.v1 import fleet_pb2 as fleet
from mesh.v1 import inference_pb2 as inference
from mesh.wire import enums
from node_agent.adopted.guest import Guest
from node_agent.adopted.identity import model_of
from node_agent.adopted.openai_engine import OpenAiEngine
from node_agent.shelf import Shelf
from tests.coordinator.cloud.played_upstream import Asked, PlayedUpstream
from tests.node_agent.scripted_coordinator import PlayedAttach, ScriptedCoordinator, asking

Host = Callable[..., str]


@pytest.fixture
def host(shelf: Shelf, engine: OpenAiEngine) -> Host:
    """Puts the engine onto the shelf, and returns its model's id."""

    def take_in(*, off_host: bool = False) -> str:
        guest = Guest(model_of(engine.kind, engine.told), engine, off_host)
        engine.changed = lambda: shelf.host([guest])
        shelf.host([guest])
        return guest.model.model_id

    return take_in


async def test_its_answer_comes_with_counted_tokens_and_no_ids(
    host: Host, attach: PlayedAttach, coordinator: ScriptedCoordinator
) -> None:
    model_id = host()
    offers = (await attach.next("inventory")).offers
    [offer] = [each for each in offers if each.model.model_id == model_id]
    assert (offer.engine, offer.off_host) == ("llama.cpp b1", False)
    assert inference.CAPABILITY_RESUME not in offer.capabilities
    await attach.start(1, model_id=model_id)
    messages = await (await coordinator.delivered()).all()
    assert not messages[0].started.prompt_ids
    deltas = [each.delta for each in messages if each.HasField("delta")]
    offset = 0
    for delta in deltas:
        assert (delta.token_offset, len(delta.ids)) == (offset, 0)
        offset += delta.token_count
    assert "".join(delta.text for delta in deltas) == "hello"
    assert offset == messages[-1].finished.usage.completion_tokens == 2


async def test_a_busy_engine_is_a_refusal_and_no_failure(
    host: Host, attach: PlayedAttach, coordinator: ScriptedCoordinator, server: PlayedUpstream
) -> None:
    server.behave = lambda asked: asked.refuse(503, more="retry-after: 0.05\r\n")
    model_id = host()
    await attach.start(1, model_id=model_id)
    refused: fleet.AttemptRefused = await attach.next("refused")
    assert (refused.attempt_id, refused.reason) == (1, fleet.REFUSAL_REASON_BUSY)
    delivery = await coordinator.delivered()
    while True:  # until it says that the rest is over
        report = await attach.next("report")
        told = [each for each in report.replicas if each.ordinal == 2]
        if told and told[0].slots_taken == 0:
            break

    async def serves(asked: Asked) -> None:
        await asked.answer("there")

    server.behave = serves
    await attach.start(2, model_id=model_id)
    again = await coordinator.delivered()
    assert (await again.all())[-1].HasField("finished")
    assert delivery.opened.attempt_id == 1


async def test_one_that_fails_midway_is_told_as_lost(
    host: Host, attach: PlayedAttach, coordinator: ScriptedCoordinator, server: PlayedUpstream
) -> None:
    async def breaks(asked: Asked) -> None:
        await asked.begin()
        await asked.text("half")
        asked.reset()

    server.behave = breaks
    await attach.start(1, model_id=host())
    messages = await (await coordinator.delivered()).all()
    assert messages[-1].failed.code == "node_lost"
    assert "llama.cpp b1" in messages[-1].failed.message


async def test_cancelling_an_attempt_ends_the_engines_work(
    host: Host, attach: PlayedAttach, coordinator: ScriptedCoordinator, server: PlayedUpstream
) -> None:
    async def goes_on(asked: Asked) -> None:
        await asked.begin()
        await asked.text("once")
        await asked.left()

    server.behave = goes_on
    await attach.start(1, model_id=host())
    await (await coordinator.delivered()).next_delta()
    await attach.cancel(1)
    await server.asked[0].left()


async def test_tier_device_never_leaves_even_if_a_coordinator_says_so(
    host: Host, attach: PlayedAttach, coordinator: ScriptedCoordinator, server: PlayedUpstream
) -> None:
    tier = enums.write(enums.TIER, Tier.DEVICE)
    await attach.start(1, model_id=host(off_host=True), request=asking("secret", tier=tier))
    [failed] = await (await coordinator.delivered()).all()
    assert failed.failed.code == "unsupported"
    assert server.asked == []
