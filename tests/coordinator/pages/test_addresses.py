"""What browsers and collectors get at each address."""

import re
from collections.abc import AsyncIterator

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from bench.played_page import PlayedMesh
from coordinator.pages.rendering import ASSETS
from coordinator.pages.views import view_node, word_of
from mesh.cli.output import how_near
from mesh.core import events
from mesh.core.types import ReplicaState, ReplicaStatus
from mesh.sim.world import Traffic
from tests.coordinator.pages.played import attach, played_mesh, served

BUSY = Traffic(requests_per_s=4.0, cloud_named_share=0.1, device_share=0.1)
FORGED = "<script>alert(1)</script>"
WHOLE_PAGE_BYTES_MAX = 150_000


@pytest.fixture
async def busy() -> AsyncIterator[tuple[PlayedMesh, httpx2.AsyncClient]]:
    mesh = played_mesh(20, BUSY, past_s=60.0)
    async with served(mesh) as address, httpx2.AsyncClient(base_url=address) as client:
        yield mesh, client


async def test_a_page_of_a_hundred_nodes_with_all_its_files_is_small() -> None:
    mesh = played_mesh(100, Traffic(requests_per_s=20.0), past_s=30.0)
    async with served(mesh) as address, httpx2.AsyncClient(base_url=address) as client:
        page = await client.get("/")
        asked = re.findall(r'(?:href|src)="(/(?:page|icon)[^"]+)"', page.text)
        whole = len(page.content)
        for each in sorted(set(asked)):
            answer = await client.get(each)
            assert answer.status_code == 200
            assert "immutable" in answer.headers["cache-control"]
            whole += len(answer.content)
    assert len(set(asked)) == len(ASSETS)
    assert page.text.count("<tr id=") == 100
    assert whole <= WHOLE_PAGE_BYTES_MAX


async def test_nothing_in_the_page_runs_or_styles_inline(
    busy: tuple[PlayedMesh, httpx2.AsyncClient],
) -> None:
    page = await busy[1].get("/")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<style|style=|<script>|\son[a-z]+=|javascript:|//(?!www\.w3)", page.text)
    assert page.headers["cache-control"] == "no-store"


async def test_names_of_machines_models_and_reasons_are_text_and_nothing_else() -> None:
    mesh = played_mesh(0)
    node_id = attach(mesh, FORGED, f'"><img src=x onerror=alert(1)>{FORGED}')
    async with served(mesh) as address, httpx2.AsyncClient(base_url=address) as client:
        for path in ("/", f"/nodes/{node_id[:16]}"):
            text = (await client.get(path)).text
            assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
            assert FORGED not in text
            assert "<img src=x" not in text
        metrics = (await client.get("/metrics")).text
    names = {
        sample.labels["node"]
        for family in text_string_to_metric_families(metrics)
        for sample in family.samples
        if "node" in sample.labels
    }
    assert names == {FORGED}


async def test_the_page_of_one_node_tells_all_of_it(
    busy: tuple[PlayedMesh, httpx2.AsyncClient],
) -> None:
    mesh, client = busy
    for node in mesh.fleet.directory.nodes.values():
        answer = await client.get(f"/nodes/{node.node_id[:16]}")
        assert answer.status_code == 200
        assert node.node_id in answer.text
        assert all(replica.model.name in answer.text for replica in node.replicas.values())
    assert (await client.get(f"/nodes/{'0' * 16}")).status_code == 404
    for wrong in ("/nodes/x", "/nodes/", "/page.html", "/templates/page.html"):
        assert (await client.get(wrong)).status_code == 404


async def test_an_empty_mesh_says_how_its_first_machine_joins() -> None:
    async with served(played_mesh(0)) as address, httpx2.AsyncClient(base_url=address) as client:
        empty = (await client.get("/")).text
    assert re.search(r'<section id="welcome" aria', empty)
    assert "deskmesh invite" in empty
    mesh = played_mesh(1)
    async with served(mesh) as address, httpx2.AsyncClient(base_url=address) as client:
        assert '<section id="welcome" hidden' in (await client.get("/")).text


async def test_the_metrics_agree_with_the_page(
    busy: tuple[PlayedMesh, httpx2.AsyncClient],
) -> None:
    mesh, client = busy
    answer = await client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    families = {each.name: each for each in text_string_to_metric_families(answer.text)}
    nodes = {s.labels["state"]: s.value for s in families["deskmesh_nodes"].samples}
    assert nodes["alive"] == 20
    ended = sum(s.value for s in families["deskmesh_requests"].samples if s.name.endswith("_total"))
    going_on = mesh.fleet.requests.running + mesh.fleet.requests.waiting
    assert abs(ended + going_on - mesh.fleet.requests.total) <= 5  # it plays on meanwhile
    tiers = {
        s.labels["tier"] for s in families["deskmesh_requests"].samples if s.name.endswith("total")
    }
    assert tiers == {"device", "mesh", "cloud"}
    cost = [s for s in families["deskmesh_cost_usd"].samples if s.name.endswith("_total")]
    assert [each.labels for each in cost] == [{"tier": "cloud"}]
    labels = {name for each in families.values() for s in each.samples for name in s.labels}
    assert labels <= {
        "tier",
        "outcome",
        "answered",
        "kind",
        "state",
        "version",
        "le",
        "node",
        "node_id",
    }


async def test_only_get_is_answered(busy: tuple[PlayedMesh, httpx2.AsyncClient]) -> None:
    for path in ("/", "/events", "/metrics"):
        assert (await busy[1].post(path)).status_code == 405


async def test_a_node_that_is_lost_claims_nothing_of_now() -> None:
    mesh = played_mesh(0)
    node_id = attach(mesh, "desk", "qwen")
    mesh.loop.post(events.ConnectionLost(1, node_id, "pulled the plug"))
    async with served(mesh) as address, httpx2.AsyncClient(base_url=address) as client:
        row = re.search(r"<tr id=.*?</tr>", (await client.get("/")).text, re.DOTALL)
    assert row is not None
    assert "pulled the plug" in row[0]
    assert "on disk" in row[0]
    assert not re.search(r"warm|\d %", row[0])


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (ReplicaStatus(ReplicaState.LOADING, load_progress=0.4), "loading 40%"),
        (ReplicaStatus(ReplicaState.LOADING), "loading"),
        (ReplicaStatus(ReplicaState.AVAILABLE), "on disk"),
        (ReplicaStatus(ReplicaState.WARM), "warm"),
    ],
)
def test_a_load_is_shown_with_how_far_it_has_come(status: ReplicaStatus, word: str) -> None:
    assert word_of(status) == word
    if status.state is ReplicaState.LOADING:
        assert how_near(status.state, status.load_progress) == word


async def test_a_draining_node_says_how_much_still_runs_there() -> None:
    mesh = played_mesh(0)
    node_id = attach(mesh, "desk", "qwen")
    mesh.loop.post(events.NodeDrained(node_id, "for repair", by_operator=True))
    assert view_node(mesh.fleet.directory.nodes[node_id], mesh.loop.now_s).why == (
        "for repair, a moment ago, 0 running"
    )


async def test_a_node_that_flaps_says_why_nothing_goes_there() -> None:
    mesh = played_mesh(0)
    for _ in range(3):
        node_id = attach(mesh, "desk", "qwen")
        mesh.loop.post(events.ConnectionLost(1, node_id, "pulled the plug"))
    attach(mesh, "desk", "qwen")
    assert view_node(mesh.fleet.directory.nodes[node_id], mesh.loop.now_s).why == (
        "doubted: lost its connection 3 times in a row"
    )
