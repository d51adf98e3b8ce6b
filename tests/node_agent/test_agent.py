"""The whole agent, over mTLS, with model files and engines that are real."""

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import psutil
import pytest

import models as test_models
from mesh.cli.own_models import add_model
from mesh.discovery.advert import Advert, Role
from mesh.discovery.advertiser import Advertiser
from mesh.discovery.responder import Responder
from mesh.errors import NotAuthenticated
from mesh.home import Home
from mesh.identity.address import split_address
from mesh.identity.peer import PeerRole
from mesh.identity.store import IdentityStore
from mesh.settings import Settings
from mesh.v1 import fleet_pb2 as fleet
from mesh.v1 import fleet_pb2_grpc as fleet_grpc
from mesh.v1 import inference_pb2 as inference
from models.tasks import TASKS
from node_agent.agent import Agent
from node_agent.lending import Signs
from node_agent.owner_signs import OwnerSigns
from tests.node_agent.conftest import Told
from tests.node_agent.engine.embedding_files import EncoderModel
from tests.node_agent.engine.gguf_files import ParrotModel, RandomModel
from tests.node_agent.joined_home import JoinedHome
from tests.node_agent.scripted_coordinator import Context, ScriptedCoordinator, asking


@pytest.fixture
def joined(tmp_path: Path) -> JoinedHome:
    return JoinedHome.make(tmp_path)


@pytest.fixture
async def coordinator(joined: JoinedHome) -> AsyncIterator[ScriptedCoordinator]:
    """A coordinator of the mesh, whose address the machine knows."""
    async with ScriptedCoordinator().serving(
        credentials=joined.coordinator_credentials()
    ) as serving:
        joined.knows(serving.address)
        yield serving


@asynccontextmanager
async def running(agent: Agent) -> AsyncIterator[asyncio.Event]:
    """Run an agent; on leaving it is stopped, unless the test did, and nothing of it is left."""
    before = set(psutil.Process().children(recursive=True))  # of other tests in this process
    stopping = asyncio.Event()
    task = asyncio.create_task(agent.run(stopping))
    try:
        yield stopping
    finally:
        stopping.set()
        async with asyncio.timeout(10):
            await task
        assert set(psutil.Process().children(recursive=True)) <= before


async def with_known_model(joined: JoinedHome, settings: Settings, model: Path) -> Agent:
    """Return an agent whose library has read ``model`` in an earlier life."""
    assert model.parent == joined.home.models
    agent = Agent(joined.home, settings)
    await agent.library.complete()
    return Agent(joined.home, settings)


async def test_a_machine_with_a_known_model_offers_it_in_its_first_words(
    joined: JoinedHome, coordinator: ScriptedCoordinator, told: Told
) -> None:
    model = RandomModel().write(joined.home.models / "noise.gguf")
    agent = await with_known_model(joined, joined.settings(), model)
    told.lines.clear()
    async with running(agent):
        attach = await coordinator.attached()
    mesh_id = joined.authority.mesh_id
    assert told.lines[0] == f"node desk ({joined.node_id}) of mesh {mesh_id}: 1 model"
    assert attach.hello.node_id == joined.node_id
    assert [offer.model.names[0] for offer in attach.hello.offers] == ["noise"]
    assert [replica.state for replica in attach.hello.report.replicas] == [
        inference.REPLICA_STATE_AVAILABLE
    ]


async def test_a_new_model_is_offered_as_soon_as_it_is_known(
    joined: JoinedHome, coordinator: ScriptedCoordinator
) -> None:
    RandomModel().write(joined.home.models / "noise.gguf")
    async with running(Agent(joined.home, joined.settings())):
        attach = await coordinator.attached()
        assert list(attach.hello.offers) == []
        [offer] = (await attach.next("inventory")).offers
        assert offer.model.names[0] == "noise"
        assert offer.context_tokens == 1024


async def test_a_model_that_its_owner_adds_is_offered_with_its_domain_within_seconds(
    joined: JoinedHome, coordinator: ScriptedCoordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    specialist = Path(test_models.__file__).parent / "test-networking.gguf"
    monkeypatch.setenv("DESKMESH_HOME", str(joined.home.root))
    async with running(Agent(joined.home, joined.settings())):
        attach = await coordinator.attached()
        assert list(attach.hello.offers) == []
        await asyncio.to_thread(add_model, specialist, ["dns"], "mine")
        async with asyncio.timeout(10):
            [offer] = (await attach.next("inventory")).offers
    assert offer.model.names[0] == "mine"
    assert list(offer.model.domains) == ["dns"]


async def test_a_broken_file_is_told_of_and_takes_nothing_down(
    joined: JoinedHome, coordinator: ScriptedCoordinator, told: Told
) -> None:
    (joined.home.models / "broken.gguf").write_bytes(b"GGUF" + bytes(100))
    RandomModel().write(joined.home.models / "noise.gguf")
    async with running(Agent(joined.home, joined.settings())):
        attach = await coordinator.attached()
        offers: list[fleet.ModelOffer] = []
        while not offers:
            offers = list((await attach.next("inventory")).offers)
        line = await told.line("broken.gguf")
    assert [offer.model.names[0] for offer in offers] == ["noise"]
    assert told.of("broken.gguf") == [line]
    assert len(line.splitlines()) == 1


async def test_a_model_that_embeds_is_offered_as_that_and_serves_its_machines_programs(
    joined: JoinedHome, coordinator: ScriptedCoordinator, told: Told
) -> None:
    model = EncoderModel().write(joined.home.models / "vectors.gguf")
    agent = await with_known_model(joined, joined.settings(), model)
    async with running(agent):
        attach = await coordinator.attached()
        [offer] = attach.hello.offers
        assert list(offer.capabilities) == [inference.CAPABILITY_EMBED]
        port = (await told.line("for tools and browsers")).rpartition(":")[2]
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as http:
            body = {"model": "vectors", "input": ["the fox", "the dog"]}
            embedded = await http.post("/v1/embeddings", json=body)
            chat = {"model": "vectors", "messages": [{"role": "user", "content": "hi"}]}
            here = {"x-deskmesh-tier": "device"}
            refused = await http.post("/v1/chat/completions", json=chat, headers=here)
    assert embedded.status_code == 200, embedded.text
    vectors = [each["embedding"] for each in embedded.json()["data"]]
    assert [math.hypot(*vector) for vector in vectors] == pytest.approx([1, 1], abs=1e-5)
    assert vectors[0] != vectors[1]
    # A token for each letter, and one at either end of each text.
    assert embedded.json()["usage"]["prompt_tokens"] == 2 * (6 + 2)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "unsupported_value")


async def test_a_real_engine_answers_dies_and_answers_again(
    joined: JoinedHome, coordinator: ScriptedCoordinator
) -> None:
    speech = ParrotModel(
        says="round&", endless=True, layers=8, feed_forward=1024, context_tokens=8192
    )
    model = speech.write(joined.home.models / "endless.gguf")
    agent = await with_known_model(joined, joined.settings(threads=1), model)
    async with running(agent):
        attach = await coordinator.attached()
        greedy = inference.Sampling(temperature=0.0)
        await attach.start(1, request=asking("hello", sampling=greedy, max_tokens=12))
        messages = await (await coordinator.delivered()).all()
        assert messages[0].started.numerics
        assert "".join(message.delta.text for message in messages) == "round&round&"
        assert messages[-1].finished.usage.completion_tokens == 12

        await attach.start(2, request=asking("hello", sampling=greedy), batch_interval_ms=25)
        delivery = await coordinator.delivered()
        await delivery.next_delta()
        [engine] = psutil.Process().children()
        engine.kill()
        last = (await delivery.all())[-1]
        assert last.failed.code == "node_lost"

        await attach.start(3, request=asking("hello", sampling=greedy, max_tokens=6))
        messages = await (await coordinator.delivered()).all()
        assert "".join(message.delta.text for message in messages) == "round&"


async def test_a_cancelled_answer_of_a_real_engine_frees_its_slot(
    joined: JoinedHome, coordinator: ScriptedCoordinator
) -> None:
    speech = ParrotModel(says="round&", endless=True, context_tokens=8192)
    model = speech.write(joined.home.models / "endless.gguf")
    agent = await with_known_model(joined, joined.settings(threads=1), model)
    async with running(agent):
        attach = await coordinator.attached()
        await attach.start(1, request=asking("hello"))
        delivery = await coordinator.delivered()
        await delivery.next_delta()
        delivery.end()
        await attach.replica(slots_taken=0, state=inference.REPLICA_STATE_WARM)
        await attach.start(2, request=asking("hello", max_tokens=3))
        messages = await (await coordinator.delivered()).all()
        assert messages[-1].finished.usage.completion_tokens == 3


async def test_the_bundled_test_model_answers_right(
    joined: JoinedHome, coordinator: ScriptedCoordinator
) -> None:
    async with running(Agent(joined.home, joined.settings(test_models=True))):
        attach = await coordinator.attached()
        offers = list(attach.hello.offers) or list((await attach.next("inventory")).offers)
        [model] = [offer.model for offer in offers]
        assert model.test
        greedy = inference.Sampling(temperature=0.0)
        right = []
        for number, prompt in enumerate(model.examples):
            request = asking(prompt, sampling=greedy, max_tokens=400)
            await attach.start(number, model_id=model.model_id, request=request)
            messages = await (await coordinator.delivered()).all()
            assert messages[-1].HasField("finished"), prompt
            answer = "".join(message.delta.text for message in messages).strip()
            right.append(any(task.check(prompt, answer) for task in TASKS.values()))
    assert len(right) > 3
    assert sum(right) > len(right) / 2, "a test model knows its own examples, mostly"


async def test_a_coordinator_that_mdns_names_is_attached_to(joined: JoinedHome) -> None:
    mesh_id = joined.authority.mesh_id
    coordinator = ScriptedCoordinator()
    async with (
        coordinator.serving(credentials=joined.coordinator_credentials()),
        Responder(("127.0.0.1",)) as responder,
    ):
        port = split_address(coordinator.address)[1]
        heard = Advert("c" * 20, mesh_id, "1", Role.COORDINATOR, "c", port, port)
        stranger = Advert("d" * 20, "another-mesh", "1", Role.COORDINATOR, "d", 1, 1)
        async with Advertiser(responder, heard), Advertiser(responder, stranger):
            agent = Agent(joined.home, joined.settings(multicast=True))
            async with running(agent):
                attach = await coordinator.attached()
    assert attach.hello.node_id == joined.node_id


async def test_a_coordinator_of_another_mesh_gets_nothing(
    joined: JoinedHome, tmp_path: Path, told: Told
) -> None:
    impostor = JoinedHome.make(tmp_path / "another")
    async with ScriptedCoordinator().serving(
        credentials=impostor.coordinator_credentials()
    ) as coordinator:
        joined.knows(coordinator.address)
        async with running(Agent(joined.home, joined.settings())):
            line = await told.line("no coordinator at")
            assert "no coordinator of this mesh" in line
        assert coordinator.greeted == 0


async def test_a_machine_that_has_not_joined_is_told_how(tmp_path: Path) -> None:
    with pytest.raises(NotAuthenticated, match="deskmesh join"):
        Agent(Home(tmp_path), Settings())


async def test_a_machine_with_an_expired_certificate_waits_for_a_coordinator_to_renew_it(
    tmp_path: Path, told: Told
) -> None:
    expired = JoinedHome.make(tmp_path, age_s=48 * 3600)
    async with running(Agent(expired.home, expired.settings())):
        line = await told.line("certificate was not renewed")
        assert "expired" in line
        assert "deskmesh join" in line


class Renewing(fleet_grpc.EnrolmentServicer):
    """Renews whatever is asked for, as a coordinator does."""

    def __init__(self, joined: JoinedHome) -> None:
        self._joined = joined

    async def Renew(self, request: fleet.RenewRequest, context: Context) -> fleet.JoinResponse:
        issued = self._joined.authority.issue(
            request.signing_request_pem.encode(), PeerRole.NODE, now_s=time.time()
        )
        return fleet.JoinResponse(certificate_pem=issued.certificate_pem.decode())


async def test_a_certificate_past_its_half_life_is_renewed_and_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node_agent.credentials.RETRY_EVERY_S", 0.05)
    old = JoinedHome.make(tmp_path, age_s=13 * 3600)
    before = IdentityStore(old.home).load(PeerRole.NODE)
    coordinator = ScriptedCoordinator(enrolment=Renewing(old))
    async with coordinator.serving(credentials=old.coordinator_credentials()):
        old.knows(coordinator.address)
        async with running(Agent(old.home, old.settings())):
            first = await coordinator.attached()
            await first.ended.wait()
            again = await coordinator.attached()
    after = IdentityStore(old.home).load(PeerRole.NODE)
    assert after.peer == before.peer
    assert after.expires_at_s > before.expires_at_s
    assert again.certificate_pem == after.certificate_pem != first.certificate_pem


async def test_an_owner_at_work_is_reported_and_gets_nothing_from_the_mesh(
    joined: JoinedHome, coordinator: ScriptedCoordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = {"signs": Signs()}

    async def look(_: OwnerSigns, own_processes: list[int], now_s: float) -> Signs:
        return seen["signs"]

    monkeypatch.setattr(OwnerSigns, "look", look)
    monkeypatch.setattr("node_agent.manners.LOOK_EVERY_S", 0.01)
    monkeypatch.setattr("node_agent.lending.BUSY_AFTER_S", 0.05)
    monkeypatch.setattr("node_agent.lending.IDLE_AFTER_S", 0.05)
    model = RandomModel().write(joined.home.models / "noise.gguf")
    settings = joined.settings(on_battery="stop")
    async with running(await with_known_model(joined, settings, model)):
        attach = await coordinator.attached()
        assert not attach.hello.report.owner_busy
        seen["signs"] = Signs(on_battery=True, battery=0.5, temperature=0.75)
        while not (report := await attach.next("report")).owner_busy:
            pass
        assert (report.battery_share, report.temperature_share) == (0.5, 0.75)
        await attach.start(1)
        refused = await attach.next("refused")
        assert refused.reason == fleet.REFUSAL_REASON_OWNER_BUSY
        seen["signs"] = Signs()
        while (await attach.next("report")).owner_busy:
            pass
