"""Engines come, are looked at without harm, are offered as replicas, and go."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest

from mesh.core.generation import Finished
from mesh.core.types import Capability, Model, Offer, Refusal, ReplicaState
from mesh.settings import NodeSettings
from mesh.wire.models import read_offers, write_offer
from node_agent.adopted import adoption
from node_agent.adopted.adoption import Adoption
from node_agent.adopted.crowd import SLOTS_MAX
from node_agent.adopted.damping import FREE_DEPARTURES
from node_agent.adopted.kinds import LOOKS, RECOGNISING, Kind
from node_agent.adopted.openai_engine import OpenAiEngine
from node_agent.adopted.place import addresses
from node_agent.engine.protocol import Engine
from node_agent.shelf import Shelf
from node_agent.slot import Slot
from tests.node_agent.adopted.played_engines import (
    LLAMA_CPP,
    OLLAMA,
    OTHER,
    PLAYED,
    ROUTER,
    VLLM,
    PlayedEngine,
    played,
)
from tests.node_agent.adopted.test_openai_engine import HELLO
from tests.node_agent.played_engines import Engines, entry, library
from tests.node_agent.watched_shelf import Changes, status

SOON_S = 0.02


class Desk:
    """A shelf whose machine has some engines."""

    def __init__(self, settings: NodeSettings, variables: Mapping[str, str]) -> None:
        self.engines = Engines()
        self.shelf = Shelf(self.engines.load, settings, free_memory=lambda: 1 << 40)
        self.changes = Changes()
        self.shelf.watchers.add(self.changes)
        self.known: dict[str, Model] = {}  # of the library, by the sha256 of weights
        self.adoption = Adoption(
            settings,
            self.shelf.host,
            known=lambda _, sha256: self.known.get(sha256),
            variables=variables,
            look_every_s=SOON_S,
        )

    @property
    def offers(self) -> dict[str, Offer]:
        """By the engine's name and the model's."""
        return {
            f"{offer.engine or 'ours'}: {offer.model.name}": offer
            for _, offer in self.shelf.offers()
        }

    async def until(self, *offers: str) -> None:
        """Wait until these are offered, and no others."""
        await self.changes.until(lambda: sorted(self.offers) == sorted(offers))

    async def seen(self, engine: PlayedEngine, looks: int) -> None:
        """Wait until an engine was looked at so often."""
        async with asyncio.timeout(5):
            while len(engine.looks) < looks:  # noqa: ASYNC110 - its log has no bell
                await asyncio.sleep(0)

    async def take(self, offer: str) -> Slot | Refusal:
        return self.shelf.take(self.offers[offer].model.model_id)


@asynccontextmanager
async def desk(
    *engines: PlayedEngine, variables: Mapping[str, str] | None = None, **settings: object
) -> AsyncIterator[Desk]:
    named = tuple(each.address for each in engines)
    given = NodeSettings.model_validate({"engines": named, "find_engines": False, **settings})
    made = Desk(given, variables or {})
    async with made.shelf.running():
        running = asyncio.create_task(made.adoption.run())
        try:
            yield made
        finally:
            running.cancel()
            await asyncio.wait([running])


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adoption, "LOOK_EVERY_MAX_S", SOON_S)
    monkeypatch.setattr(adoption, "SOONEST_S", 0.0)


@pytest.mark.parametrize("kind", list(Kind))
async def test_nothing_but_what_is_listed_is_ever_looked_at(kind: Kind) -> None:
    async with played(PLAYED[kind]) as engine, desk(engine) as machine:
        await machine.changes.until(lambda: bool(machine.offers))
        await machine.seen(engine, 8 if kind.bears_looks else 0)
        assert all(str(kind) in each for each in machine.offers)
        assert set(engine.looks) <= LOOKS[kind] | RECOGNISING
        for look in engine.looks[3:]:
            assert look in LOOKS[kind], "once it is recognised"


async def test_of_a_router_nothing_is_asked_that_it_would_pass_on() -> None:
    async with played(ROUTER) as engine, desk(engine) as machine:
        await machine.until("llama.cpp: one", "llama.cpp: two")
        assert status(machine.shelf, "one").state is ReplicaState.AVAILABLE
        assert status(machine.shelf, "two").state is ReplicaState.WARM
        assert set(engine.looks) == {"GET /v1/models"}


async def test_ollamas_own_cloud_is_left_out_and_each_model_is_described_once() -> None:
    async with played(OLLAMA) as engine, desk(engine) as machine:
        await machine.until("Ollama 0.9.6: qwen3:8b", "Ollama 0.9.6: embed:latest")
        seen = len(engine.looks)
        await machine.seen(engine, seen + 6)
        shown = [each.body for each in engine.server.asked if "/api/show" in each.line]
        assert [each["model"] for each in shown] == ["qwen3:8b", "embed:latest"]
        assert machine.offers["Ollama 0.9.6: qwen3:8b"].context_tokens == 8192


async def test_weights_that_the_library_has_as_well_are_called_as_it_calls_them() -> None:
    ours = entry("own").model
    shown = {"modelfile": f"FROM /a/blobs/sha256-{ours.identity.sha256}\n"}
    async with played({**OLLAMA, "POST /api/show": shown}) as engine, desk(engine) as machine:
        await machine.until("Ollama 0.9.6: qwen3:8b", "Ollama 0.9.6: embed:latest")
        told = machine.offers["Ollama 0.9.6: qwen3:8b"].model
        assert told.names == ("qwen3:8b",)
        machine.known[ours.identity.sha256] = ours  # the library has read them at last
        await machine.changes.until(
            lambda: (
                machine.offers["Ollama 0.9.6: qwen3:8b"].model.names == ("qwen3:8b", *ours.names)
            )
        )
        model = machine.offers["Ollama 0.9.6: qwen3:8b"].model
        assert model.model_id == told.model_id
        assert model.model_id != ours.model_id, "neither goes on with an answer of the other"


async def test_it_is_a_replica_beside_the_librarys_and_takes_none_of_our_memory() -> None:
    async with played(LLAMA_CPP) as engine, desk(engine) as machine:
        machine.shelf.show(library(entry("own")))
        await machine.until("ours: own", "llama.cpp: qwen3-8b")
        offer = machine.offers["llama.cpp: qwen3-8b"]
        assert Capability.RESUME not in offer.capabilities
        assert offer.context_tokens == 2048
        told = status(machine.shelf, "qwen3-8b")
        assert (told.state, told.slots) == (ReplicaState.WARM, 4)
        slot = await machine.take("llama.cpp: qwen3-8b")
        assert isinstance(slot, Slot)
        assert status(machine.shelf, "qwen3-8b").slots_taken == 1
        engine_of = await slot.engine()
        assert isinstance(engine_of.info.slots, int)
        slot.free()
        machine.shelf.unload(offer.model.model_id)
        machine.shelf.preload(offer.model.model_id)
        assert status(machine.shelf, "qwen3-8b").state is ReplicaState.WARM
        machine.shelf.show(library())
        await machine.until("llama.cpp: qwen3-8b")
        assert machine.engines.loads == 0
        assert engine.looks.count("POST /v1/chat/completions") == 0


async def test_several_engines_with_the_same_model_are_several_replicas() -> None:
    async with played(VLLM) as one, played(VLLM) as two, desk(one, two) as machine:
        await machine.changes.until(lambda: len(machine.shelf.offers()) == 2)
        ids = {offer.model.model_id for _, offer in machine.shelf.offers()}
        names = {offer.model.name for _, offer in machine.shelf.offers()}
        assert len(ids) == 2
        assert names == {"qwen3-8b"}
        await one.server.stop()
        await machine.changes.until(lambda: len(machine.shelf.offers()) == 1)
        [(_, left)] = machine.shelf.offers()
        assert left.model.model_id in ids, "the other one is still what it was"
        await one.server.start()


async def test_it_is_gone_with_its_engine_and_back_with_it() -> None:
    async with played(LLAMA_CPP) as engine, desk(engine) as machine:
        await machine.until("llama.cpp: qwen3-8b")
        [before] = machine.offers.values()
        port = engine.server.port
        await engine.server.stop()
        await machine.until()
        engine.server._server = await asyncio.start_server(
            engine.server._connected,
            "127.0.0.1",
            port,
        )
        await machine.until("llama.cpp: qwen3-8b")
        assert machine.offers["llama.cpp: qwen3-8b"].model.model_id == before.model.model_id


async def starts_again(engine: PlayedEngine, port: int) -> None:
    """Where it was before, as engines do."""
    answer = engine.server._connected
    engine.server._server = await asyncio.start_server(answer, "127.0.0.1", port)


async def test_one_that_starts_and_stops_all_day_is_not_offered_each_time() -> None:
    async with played(LLAMA_CPP) as engine, desk(engine) as machine:
        port = engine.server.port
        for _ in range(FREE_DEPARTURES):
            await machine.until("llama.cpp: qwen3-8b")
            await engine.server.stop()
            await machine.until()
            await starts_again(engine, port)
        await machine.seen(engine, len(engine.looks) + 6)
        assert machine.offers == {}, "it has to stay first"


async def test_an_engine_that_is_too_busy_to_tell_is_not_gone_for_it() -> None:
    async with played(LLAMA_CPP) as engine, desk(engine) as machine:
        await machine.until("llama.cpp: qwen3-8b")
        inventories = machine.changes.inventories
        engine.status = 503
        seen = len(engine.looks)
        await machine.seen(engine, seen + adoption.MISSES_MAX - 1)
        engine.status = 200
        await asyncio.sleep(5 * SOON_S)
        assert machine.changes.inventories == inventories
        engine.status = 503
        await machine.until()


async def test_what_is_not_recognised_is_adopted_only_where_it_was_named() -> None:
    async with played(OTHER) as engine:
        found = {"OLLAMA_HOST": engine.address}
        async with desk(find_engines=True, variables=found) as machine:
            await machine.seen(engine, 2)
            await asyncio.sleep(5 * SOON_S)
            assert machine.offers == {}
        async with desk(engine) as machine:
            await machine.until("OpenAI-compatible engine: qwen3-8b")


async def test_one_that_may_break_answers_off_is_listed_once_and_gets_one_at_a_time() -> None:
    async with played(OTHER) as engine, desk(engine) as machine:
        await machine.until("OpenAI-compatible engine: qwen3-8b")
        seen = len(engine.looks)
        await asyncio.sleep(10 * SOON_S)
        assert len(engine.looks) == seen
        assert status(machine.shelf, "qwen3-8b").slots == 1
        await engine.server.stop()
        await machine.until()
        await engine.server.start()


async def test_our_own_door_is_no_engine_even_where_it_is_named() -> None:
    ours = {"GET /v1/models": {"data": [{"id": "a", "owned_by": "x", "deskmesh": {}}]}}
    async with played(ours) as engine, desk(engine) as machine:
        await machine.seen(engine, 1)
        await asyncio.sleep(5 * SOON_S)
        assert machine.offers == {}


async def test_a_key_is_sent_to_its_engine_and_to_no_other() -> None:
    async with played(VLLM) as one, played(VLLM) as two:
        keys = {one.address: "ENGINE_KEY"}
        variables = {"ENGINE_KEY": "secret"}
        async with desk(one, two, engine_keys=keys, variables=variables) as machine:
            await machine.changes.until(lambda: len(machine.shelf.offers()) == 2)
        assert {each.headers.get("authorization") for each in one.server.asked} == {"Bearer secret"}
        assert {each.headers.get("authorization") for each in two.server.asked} == {None}


async def test_while_an_engine_rests_nothing_begins_there() -> None:
    async with played(VLLM) as engine, desk(engine) as machine:
        await machine.until("vLLM 0.11.0: qwen3-8b")
        slot = await machine.take("vLLM 0.11.0: qwen3-8b")
        assert isinstance(slot, Slot)
        served: Engine = await slot.engine()
        served._rest(0.2)  # type: ignore[attr-defined]
        told = status(machine.shelf, "qwen3-8b")
        assert told.slots_taken > told.slots
        assert await machine.take("vLLM 0.11.0: qwen3-8b") is Refusal.BUSY
        slot.free()
        await machine.changes.until(lambda: status(machine.shelf, "qwen3-8b").slots_taken == 0)
        again = await machine.take("vLLM 0.11.0: qwen3-8b")
        assert isinstance(again, Slot)
        again.free()


async def test_what_spreads_over_machines_is_off_host_wherever_its_door_is() -> None:
    async with played(PLAYED[Kind.RAY_SERVE]) as engine, desk(engine) as machine:
        await machine.until("Ray Serve: qwen3-8b")
        assert machine.offers["Ray Serve: qwen3-8b"].off_host


async def test_whatever_an_engine_says_of_its_models_a_coordinator_can_read() -> None:
    junk: list[object] = [
        {"id": "", "owned_by": "llamacpp"},
        {"id": "a\nb", "owned_by": "llamacpp"},
        {"id": "x" * 1000, "meta": {"n_params": 10**400, "size": -1, "ftype": "\x1b[2J"}},
        {"id": "twice"},
        {"id": "twice", "meta": {"n_ctx": 512}},
        None,
        [],
    ]
    says = {"GET /v1/models": {"data": junk}, "GET /props": {"total_slots": 10**9}}
    async with played(says) as engine, desk(engine) as machine:
        await machine.changes.until(lambda: len(machine.offers) == 2)
        written = [write_offer(*each) for each in machine.shelf.offers()]
        assert {each.model.name for each in read_offers(written).values()} == {
            "twice",
            "x" * 256,
        }
        assert status(machine.shelf, "twice").slots <= SLOTS_MAX


def test_an_address_that_is_named_and_usual_is_looked_at_once() -> None:
    settings = NodeSettings(engines=("http://127.0.0.1:8000/v1", "http://127.0.0.1:8081"))
    found = list(addresses(settings, {}))
    bases = [address.base for address, _ in found]
    assert len(bases) == len(set(bases))
    assert [given for _, given in found[:2]] == list(settings.engines)
    assert all(address.named for address, _ in found[:2])


async def test_its_work_for_us_is_not_the_owners_and_its_other_work_is() -> None:
    async with played(VLLM) as engine, desk(engine) as machine:
        await machine.until("vLLM 0.11.0: qwen3-8b")
        slot = await machine.take("vLLM 0.11.0: qwen3-8b")
        assert isinstance(slot, Slot)
        served = await slot.engine()
        assert isinstance(served, OpenAiEngine)
        async with asyncio.timeout(5):
            while not served.processes:  # noqa: ASYNC110 - found by a thread
                await asyncio.sleep(SOON_S)
        assert os.getpid() in served.processes, "it listens in this very process"
        assert machine.shelf.working_processes() == []
        answers = [event async for event in served.generate(HELLO)]
        assert isinstance(answers[-1], Finished)
        assert os.getpid() in machine.shelf.working_processes()
        slot.free()
