"""Properties of a pick: whatever the mesh looks like, and in whichever order its nodes came."""

from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.core.actions import FailRequest
from mesh.core.cost import Prediction, cost_of
from mesh.core.explaining import explained
from mesh.core.filter import capable, hopeful, ruled_out, why_not
from mesh.core.look import NEAR_EQUAL
from mesh.core.pick import CANDIDATES_MAX
from mesh.core.policies import BUILT_IN
from mesh.core.routing import (
    AllBusy,
    Placed,
    Unplaceable,
    place,
    place_now,
)
from mesh.core.types import (
    Capability,
    Load,
    Model,
    NodeId,
    Policy,
    ReplicaState,
    ReplicaStatus,
    Request,
    Tier,
)
from tests.mesh.core.script import LLAMA, QWEN, Script, a_model, key, only, warm

some = settings(max_examples=40)  # a mesh takes a while to make, and there are seven properties

LARGE = a_model("large", parameters=7_000_000_000)
MODELS = (LLAMA, QWEN, LARGE)


@dataclass(frozen=True)
class Joining:
    """A node about to attach, and what becomes of it."""

    name: str
    models: tuple[Model, ...]
    status: ReplicaStatus
    context_tokens: int
    capabilities: frozenset[Capability]
    owner_busy: bool
    on_coordinator_host: bool
    fate: str  # "" or what happens after it attached
    avoided: bool


def mostly(usual: object, *others: object) -> st.SearchStrategy[Any]:
    """The usual value in four cases of five: else hardly anything could be placed."""
    return st.sampled_from([*[usual] * 4 * len(others), *others])


rates = st.sampled_from([0.0, 1.0, 50.0, 51.0, 500.0, 5e6, -1.0, float("nan"), float("inf")])
statuses = st.builds(
    ReplicaStatus,
    state=mostly(ReplicaState.WARM, *ReplicaState),
    slots=mostly(2, -1, 0, 1),
    slots_taken=st.integers(-1, 2),
    prefill_tokens_per_s=rates,
    decode_tokens_per_s=rates,
    load_s=rates,
)
capabilities = mostly(
    frozenset({Capability.TOOLS, Capability.GRAMMAR}), frozenset({Capability.TOOLS}), frozenset()
)
joining = st.builds(
    Joining,
    name=st.text("abcdef", min_size=1, max_size=4),
    models=st.lists(st.sampled_from(MODELS), max_size=3, unique=True).map(tuple),
    status=statuses,
    context_tokens=mostly(8192, 16, 1024),
    capabilities=capabilities,
    owner_busy=mostly(False, True),
    on_coordinator_host=st.booleans(),
    fate=mostly("", "lose", "leave", "drain"),
    avoided=mostly(False, True),
)
meshes = st.lists(joining, max_size=8, unique_by=lambda node: node.name)
requests = st.builds(
    Request,
    key=st.just(key("r1")),
    model=mostly("llama", "qwen", "auto", "nothing", LARGE.model_id),
    tier=mostly(Tier.MESH, *Tier),
    policy=st.sampled_from(BUILT_IN),
    prompt_bytes=mostly(400, 0, 40_000),
    max_tokens=st.sampled_from([0, 1, 100_000]),
    deadline_s=st.just(1e9),
    needs=mostly(frozenset(), frozenset({Capability.TOOLS}), frozenset({Capability.GRAMMAR})),
    from_coordinator_host=st.booleans(),
    explain=st.booleans(),
)


def a_mesh(nodes: list[Joining]) -> Script:
    script = Script()
    for node in nodes:
        script.attach(
            node.name,
            *node.models,
            status=node.status,
            context_tokens=node.context_tokens,
            capabilities=node.capabilities,
            load=Load(owner_busy=node.owner_busy),
            on_coordinator_host=node.on_coordinator_host,
        )
        if node.fate:
            getattr(script, node.fate)(node.name)
    return script


def avoided(nodes: list[Joining]) -> dict[NodeId, str]:
    return {NodeId(node.name): "failed" for node in nodes if node.avoided}


def asked(**features: object) -> Request:
    plain: dict[str, object] = {
        "key": key("r1"),
        "model": "llama",
        "tier": Tier.MESH,
        "policy": Policy.BALANCED,
        "prompt_bytes": 400,
        "max_tokens": 100,
        "deadline_s": 1e9,
    }
    return Request(**(plain | features))  # type: ignore[arg-type]


@some
@given(meshes, requests, st.randoms(use_true_random=False))
def test_placement_ignores_the_order_of_nodes(
    nodes: list[Joining], request: Request, rng: Random
) -> None:
    """Up to 8 nodes, fewer than a pick looks at: which are looked at is no matter of chance."""
    avoid = avoided(nodes)
    directory = a_mesh(nodes).fleet.directory
    ours = place(request, directory, avoid, Random(1))
    shuffled = a_mesh(rng.sample(nodes, len(nodes))).fleet.directory
    theirs = place(request, shuffled, avoid, Random(2))
    assert type(ours) is type(theirs)
    if isinstance(ours, Placed) and isinstance(theirs, Placed):
        # Apart from ties: each chose one of the near-equals.
        cheapest = min(each.cost for each in ours.candidates if each.free)
        for chosen in (ours.chosen, theirs.chosen):
            assert chosen.model_id == ours.chosen.model_id or request.policy is Policy.FAST
            assert chosen.cost <= NEAR_EQUAL * cheapest
    told = [set(ruled_out(request, mesh, avoid, 100, 100.0)) for mesh in (directory, shuffled)]
    assert told[0] == told[1]


@some
@given(meshes, requests)
def test_a_request_is_refused_only_when_every_node_has_a_reason(
    nodes: list[Joining], request: Request
) -> None:
    script, avoid = a_mesh(nodes), avoided(nodes)
    directory = script.fleet.directory
    explained = {each.node_id for each in ruled_out(request, directory, avoid, 100, 100.0)}
    unexplained = set(directory.nodes) - explained
    match place(request, directory, avoid, Random(1)):
        case Placed(chosen=chosen):
            assert chosen.node_id in unexplained
            assert capable(request, directory, avoid)
        case AllBusy():
            assert unexplained
            assert capable(request, directory, avoid)
            assert hopeful(request, directory, avoid, Random(1))
        case Unplaceable():
            assert not unexplained
            assert not capable(request, directory, avoid)


@some
@given(meshes, requests)
def test_a_placed_request_goes_to_a_free_replica_that_nothing_rules_out(
    nodes: list[Joining], request: Request
) -> None:
    script, avoid = a_mesh(nodes), avoided(nodes)
    placed = place_now(request, script.fleet.directory, avoid, Random(1))
    free = [
        replica
        for node in script.fleet.directory.nodes.values()
        for replica in node.replicas.values()
        if replica.slots_free > 0
    ]
    if placed is not None:
        chosen = script.node(placed.chosen.node_id).replicas[placed.chosen.model_id]
        assert chosen in free
        assert why_not(request, chosen, avoid, 100.0) is None
        assert placed.candidates[0] == placed.chosen
    elif request.model == "llama":
        able = [replica for replica in free if replica.model is LLAMA]
        assert all(why_not(request, replica, avoid, 100.0) for replica in able)


@some
@given(meshes, requests)
def test_a_pick_changes_nothing(nodes: list[Joining], request: Request) -> None:
    directory = a_mesh(nodes).fleet.directory
    before = repr(directory)
    place(request, directory, avoided(nodes), Random(1))
    assert repr(directory) == before


@some
@given(meshes, requests, st.integers())
def test_a_pick_is_the_same_for_the_same_seed(
    nodes: list[Joining], request: Request, seed: int
) -> None:
    directory = a_mesh(nodes).fleet.directory
    picks = [place(request, directory, {}, Random(seed)) for _ in range(2)]
    assert picks[0] == picks[1]


def test_near_equals_share_a_burst() -> None:
    script = Script()
    for i in range(4):
        script.attach(f"n{i}", LLAMA, status=warm(100, decode=50 + 0.2 * i))
    script.attach("slow", LLAMA, status=warm(100, decode=40))
    directory, rng = script.fleet.directory, Random(7)
    chosen: Counter[str] = Counter()
    for _ in range(400):
        placed = place_now(asked(), directory, {}, rng)
        assert placed is not None
        chosen[placed.chosen.node_name] += 1
    assert "slow" not in chosen
    assert min(chosen[f"n{i}"] for i in range(4)) > 60  # 100 each, give or take


def test_in_a_large_mesh_every_node_gets_its_share() -> None:
    """A pick looks at 64 of 500; those who joined first must not be the only ones."""
    script = Script()
    for i in range(500):
        script.attach(f"n{i}", LLAMA, slots=100)
    directory, rng = script.fleet.directory, Random(7)
    chosen: Counter[int] = Counter()
    for _ in range(2000):
        placed = place_now(asked(), directory, {}, rng)
        assert placed is not None
        chosen[int(placed.chosen.node_name[1:]) // 100] += 1
    assert min(chosen[hundred] for hundred in range(5)) > 300  # 400 each, give or take


def test_a_pick_looks_at_a_bounded_number_of_nodes() -> None:
    script = Script()
    for i in range(3 * CANDIDATES_MAX):
        script.attach(f"n{i}", LLAMA, slots_taken=i % 2)
    placed = place_now(asked(explain=True), script.fleet.directory, {}, Random(1))
    assert placed is not None
    assert [each.free for each in explained(placed.look)] == [True] * 64 + [False] * 64


def test_the_one_free_model_among_hundreds_of_busy_ones_is_found() -> None:
    script = Script()
    for i in range(300):
        model = a_model(f"m{i}", digit=format(i + 1, "064x")[::-1])
        script.attach(f"n{i}", model, slots_taken=int(i != 123))
    for policy in BUILT_IN:
        request = asked(model="auto", policy=policy)
        placed = place_now(request, script.fleet.directory, {}, Random(1))
        assert placed is not None
        assert placed.chosen.model_name == "m123"


@pytest.mark.parametrize("identities", [3, 100])
def test_models_of_one_name_share_the_candidates(identities: int) -> None:
    """The first identity has more holders than a pick looks at, and must not crowd out others."""
    script = Script()
    models = [a_model("chat", digit=format(i + 1, "064x")[::-1]) for i in range(identities)]
    for i in range(2 * CANDIDATES_MAX):
        script.attach(f"n{i}", models[0])
    for i, model in enumerate(models[1:]):
        script.attach(f"m{i}", model)
    request = asked(model="chat", explain=True)
    placed = place_now(request, script.fleet.directory, {}, Random(1))
    assert placed is not None
    weighed = explained(placed.look)
    assert len({each.model_id for each in weighed}) == min(identities, 64)
    assert len(weighed) <= CANDIDATES_MAX


def test_a_refusal_in_a_large_mesh_explains_the_models_holders_first() -> None:
    script = Script()
    for i in range(1000):
        script.attach(f"other{i}", QWEN)
    script.attach("holder", LLAMA, load=Load(owner_busy=True))
    failed = only(script.ask("r1"), FailRequest)
    assert failed.failure.message.startswith(
        "no machine can serve this request (holder: its owner is using it; other0: has qwen only;"
    )
    assert failed.failure.message.endswith("and 998 more)")
    assert len(failed.receipt.ruled_out) == 64
    explained = only(script.ask("r2", explain=True), FailRequest)
    assert len(explained.receipt.ruled_out) == 256


@some
@given(meshes)
def test_an_able_replica_is_one_that_nothing_rules_out_for_now(nodes: list[Joining]) -> None:
    """The index knows by ``able``, people by ``why_not``: they must agree."""
    request = asked(prompt_bytes=0, from_coordinator_host=True)
    for node in a_mesh(nodes).fleet.directory.nodes.values():
        for replica in node.replicas.values():
            assert replica.able == (why_not(request, replica, {}, 100.0) is None)
            assert not replica.can_begin or replica.able


@some
@given(meshes, requests)
def test_a_cost_is_what_was_predicted_weighed_by_the_policy(
    nodes: list[Joining], request: Request
) -> None:
    """The loop over free replicas writes the arithmetic out once more, to be quick."""
    placed = place(request, a_mesh(nodes).fleet.directory, {}, Random(1))
    if not isinstance(placed, Unplaceable):
        for each in placed.candidates:
            predicted = Prediction(each.first_token_s, each.completion_s)
            assert each.cost == pytest.approx(cost_of(request.policy, predicted))
