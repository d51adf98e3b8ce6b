"""What a machine embeds and counts by itself, and how its programs ask for it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from mesh.client import connect
from mesh.core.types import NodeId, Tier
from mesh.errors import (
    DeadlineExceeded,
    InternalError,
    InvalidRequest,
    MeshError,
    ModelNotFound,
    NoCapableNode,
    NodeLost,
    Unsupported,
)
from mesh.inference_service import Admitted, InferenceService
from mesh.serving import INFERENCE, listen_loopback, new_server
from mesh.settings import NodeSettings
from mesh.v1 import inference_pb2 as inference
from node_agent.engine.protocol import Engine
from node_agent.library.view import LibraryEntry
from node_agent.local_asking import LocalAsking
from node_agent.own_models import OwnModels
from node_agent.shelf import Shelf
from node_agent.slot import Slot
from node_agent.uplink import Uplink
from tests.node_agent.played_engines import CountingEmbedder, Engines, entry, library
from tests.node_agent.scripted_coordinator import asking

WHY = "because"


@pytest.fixture
def embedder() -> CountingEmbedder:
    return CountingEmbedder()


@pytest.fixture
async def shelf(embedder: CountingEmbedder) -> AsyncIterator[Shelf]:
    """One that holds a model that embeds, and one that writes, which is larger."""
    echoes = Engines()

    async def load(
        wanted: LibraryEntry, slots: int, context_tokens: int, told: Callable[[float], None]
    ) -> Engine:
        if wanted.embeds:
            return embedder
        return await echoes.load(wanted, slots, context_tokens, told)

    shelf = Shelf(load, NodeSettings(slots=1), free_memory=lambda: 1 << 40)
    writer = entry("writer")
    object.__setattr__(writer.model, "parameters", 1 << 40)
    shelf.show(library(entry("embedder", embeds=True), writer))
    async with shelf.running():
        yield shelf


@pytest.fixture
def own(shelf: Shelf) -> OwnModels:
    return OwnModels(shelf, NodeId("node-of-the-test"), "desk")


async def embedded(own: OwnModels, *texts: str, **fields: object) -> inference.EmbedResponse:
    request = inference.EmbedRequest(request_id="r", inputs=texts, **fields)  # type: ignore[arg-type]
    return await own.embeddings(request, why=WHY, tier=Tier.DEVICE)


def counting(model: str = "") -> inference.CountTokensRequest:
    message = asking("one two three").messages[0]
    return inference.CountTokensRequest(model=model, messages=[message])


def taken(shelf: Shelf) -> int:
    return sum(status.slots_taken for _, status in shelf.statuses())


@pytest.mark.parametrize("model", ["embedder", "EMBEDDER", "auto", ""])
async def test_texts_are_embedded_with_a_receipt(own: OwnModels, shelf: Shelf, model: str) -> None:
    told = await embedded(own, "a b", "abcd", model=model)
    assert [list(each.values) for each in told.embeddings] == [[3, 2], [4, 1]]
    assert told.usage.prompt_tokens == 3
    [attempt] = told.receipt.attempts
    assert (attempt.outcome, attempt.node_name, attempt.model_name) == (
        "answered",
        "desk",
        "embedder",
    )
    assert attempt.usage.prompt_tokens == 3
    assert told.receipt.tier == inference.TIER_DEVICE
    assert list(told.receipt.notes) == [WHY]
    assert taken(shelf) == 0


async def test_a_chat_is_never_answered_by_a_model_that_embeds(own: OwnModels) -> None:
    answer = own.answer(asking("hi", model="auto"), why=WHY, tier=Tier.DEVICE)
    events = [event async for event in answer]
    assert events[0].started.model_name == "writer"
    with pytest.raises(Unsupported, match="turns text into vectors, and writes none"):
        await anext(own.answer(asking("hi", model="embedder"), why=WHY, tier=Tier.DEVICE))


async def test_what_cannot_embed_is_told(own: OwnModels, shelf: Shelf) -> None:
    with pytest.raises(Unsupported, match="writes text, and embeds none; ask embedder"):
        await embedded(own, "a", model="writer")
    with pytest.raises(ModelNotFound):
        await embedded(own, "a", model="gpt")
    shelf.show(library(entry("writer")))
    with pytest.raises(Unsupported, match="no model of this machine embeds text"):
        await embedded(own, "a")
    shelf.show(library())
    with pytest.raises(NoCapableNode):
        await embedded(own, "a")


@pytest.mark.parametrize(
    "request_", [inference.EmbedRequest(inputs=["a"]), inference.EmbedRequest(request_id="r")]
)
async def test_a_request_that_is_none_is_refused(
    own: OwnModels, request_: inference.EmbedRequest
) -> None:
    with pytest.raises(InvalidRequest):
        await own.embeddings(request_, why=WHY, tier=Tier.DEVICE)


async def test_the_time_that_was_given_ends_it_and_the_slot_is_free(
    own: OwnModels, shelf: Shelf, embedder: CountingEmbedder
) -> None:
    embedder.gate.clear()
    with pytest.raises(DeadlineExceeded):
        await embedded(own, "a", deadline_ms=50)
    assert taken(shelf) == 0


async def test_leaving_frees_the_slot(
    own: OwnModels, shelf: Shelf, embedder: CountingEmbedder
) -> None:
    embedder.gate.clear()
    left = asyncio.create_task(embedded(own, "a"))
    await embedder.began.wait()
    assert taken(shelf) == 1
    left.cancel()
    with pytest.raises(asyncio.CancelledError):
        await left
    assert taken(shelf) == 0


async def test_an_engine_that_died_is_told_as_that(
    own: OwnModels, embedder: CountingEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def die(_texts: object) -> None:
        raise NodeLost("it is gone")

    monkeypatch.setattr(embedder, "embed", die)
    with pytest.raises(NodeLost, match="desk failed: it is gone"):
        await embedded(own, "a")


async def test_a_bug_is_told_without_the_texts(
    own: OwnModels,
    shelf: Shelf,
    embedder: CountingEmbedder,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def stumble(texts: list[str]) -> None:
        raise KeyError(texts[0])

    monkeypatch.setattr(embedder, "embed", stumble)
    with pytest.raises(InternalError) as told:
        await embedded(own, "a-secret")
    assert "a-secret" not in f"{told.value}{caplog.text}"
    assert "KeyError at " in caplog.text
    assert taken(shelf) == 0


async def test_tokens_are_counted_by_the_model_that_would_answer(
    own: OwnModels, shelf: Shelf
) -> None:
    offers = {offer.model.name: offer.model.model_id for _, offer in shelf.offers()}
    for asked, counts in (("", "writer"), ("writer", "writer"), ("embedder", "embedder")):
        told = await own.token_count(counting(asked))
        assert (told.tokens, told.model_id) == (3, offers[counts])
    assert taken(shelf) == 0


async def test_tokens_of_a_warm_model_are_counted_while_its_slots_are_busy(
    own: OwnModels, shelf: Shelf
) -> None:
    await own.token_count(counting("writer"))  # it is warm now
    [model_id] = [o.model.model_id for _, o in shelf.offers() if o.model.name == "writer"]
    held = shelf.take(model_id)
    assert isinstance(held, Slot)
    assert shelf.busy(model_id)
    assert (await own.token_count(counting("writer"))).tokens == 3
    held.free()


async def test_nothing_is_counted_of_what_is_not_here(own: OwnModels) -> None:
    with pytest.raises(ModelNotFound):
        await own.token_count(counting("gpt"))
    with pytest.raises(InvalidRequest):
        await own.token_count(inference.CountTokensRequest())


@asynccontextmanager
async def at_its_port(own: OwnModels) -> AsyncIterator[str]:
    """Serve gRPC as a machine's own port does; no coordinator is ever asked."""
    server = new_server((INFERENCE,))
    asked = LocalAsking(Uplink.__new__(Uplink), own)
    InferenceService(lambda *_: Admitted("local", asked)).add_to(server)
    port = listen_loopback(server, 0, setting="LOCAL")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0)


async def test_programs_ask_by_the_sdk(own: OwnModels) -> None:
    async with at_its_port(own) as address, connect(address) as mesh:
        assert await mesh.embed(["a b", "abcd"], model="embedder") == [[3, 2], [4, 1]]
        assert await mesh.count_tokens("one two three", model="writer") == 3
        with pytest.raises(Unsupported, match="embeds none"):
            await mesh.embed(["a"], model="writer")
        with pytest.raises(ModelNotFound):
            await mesh.count_tokens("a", model="gpt")
        with pytest.raises(InvalidRequest):
            await mesh.embed([])


async def test_a_client_that_leaves_over_grpc_frees_the_slot(
    own: OwnModels, shelf: Shelf, embedder: CountingEmbedder
) -> None:
    embedder.gate.clear()
    async with at_its_port(own) as address, connect(address) as mesh:
        leaving = asyncio.create_task(mesh.embed(["a"]))
        await embedder.began.wait()
        leaving.cancel()
        await embedder.left.wait()
        embedder.gate.set()
        assert await mesh.embed(["a"]) == [[1, 1]]  # there is but one slot
    assert taken(shelf) == 0


async def test_vectors_beyond_a_messages_size_are_refused_and_not_cut_off(
    own: OwnModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mesh.inference_service.MESSAGE_BYTES_MAX", 100)
    async with at_its_port(own) as address, connect(address) as mesh:
        with pytest.raises(MeshError, match="send fewer texts"):
            await mesh.embed(["a"] * 64)


async def test_a_call_without_a_request_is_refused(own: OwnModels) -> None:
    async with at_its_port(own) as address, grpc.aio.insecure_channel(address) as channel:
        for name in ("Embed", "CountTokens"):
            ask: Any = channel.stream_unary(f"/{INFERENCE}/{name}")
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await ask(iter(()))
            assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
