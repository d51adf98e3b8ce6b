"""Predictions: what was measured wins, and absurd measurements count as none."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.core.cost import WEIGHTS, Demand, predict, speed_of
from mesh.core.types import Policy, ReplicaState, ReplicaStatus, Request, Tier
from tests.mesh.core.script import LLAMA, a_machine, a_model, key, warm

DEMAND = Demand(prompt_tokens=100, output_tokens=50)


def asked(prompt_bytes: int, max_tokens: int) -> Request:
    return Request(
        key("r1"), "llama", Tier.MESH, Policy.BALANCED, prompt_bytes, max_tokens, deadline_s=1.0
    )


def test_a_warm_free_replica_takes_round_trip_prefill_and_decode() -> None:
    speed = speed_of(a_machine("desk"), LLAMA, warm(prefill=200, decode=10))
    predicted = predict(DEMAND, speed, 0.05, free=True)
    assert predicted.first_token_s == pytest.approx(0.05 + 100 / 200 + 1 / 10)
    assert predicted.completion_s == pytest.approx(predicted.first_token_s + 50 / 10)


def test_a_busy_replica_takes_another_answers_time_on_top() -> None:
    speed = speed_of(a_machine("desk"), LLAMA, warm(prefill=200, decode=10))
    free = predict(DEMAND, speed, 0.0, free=True)
    busy = predict(DEMAND, speed, 0.0, free=False)
    assert busy.first_token_s - free.first_token_s == pytest.approx(100 / 200 + 50 / 10)


@pytest.mark.parametrize("state", [ReplicaState.AVAILABLE, ReplicaState.LOADING])
def test_a_cold_replica_loads_first_for_as_long_as_the_last_time(state: ReplicaState) -> None:
    status = ReplicaStatus(state=state, load_s=12.5)
    assert speed_of(a_machine("desk"), LLAMA, status).load_s == 12.5


def test_a_model_that_was_never_loaded_takes_longer_the_larger_it_is() -> None:
    small, large = (a_model("m", parameters=size) for size in (10**8, 10**10))
    cold = ReplicaStatus()
    loads = [speed_of(a_machine("desk"), model, cold).load_s for model in (small, large)]
    assert loads == [pytest.approx(0.7), pytest.approx(20.5)]


def test_a_warm_replica_loads_no_more() -> None:
    status = ReplicaStatus(state=ReplicaState.WARM, load_s=12.5)
    assert speed_of(a_machine("desk"), LLAMA, status).load_s == 0.0


def test_without_measurements_more_cores_read_faster_and_larger_models_write_slower() -> None:
    unknown = ReplicaStatus(state=ReplicaState.WARM)
    two, eight = (speed_of(a_machine("desk", cores), LLAMA, unknown) for cores in (2, 8))
    assert eight.prefill_s == pytest.approx(two.prefill_s / 4)
    large = speed_of(a_machine("desk", 2), a_model("large", parameters=7 * 10**9), unknown)
    assert large.decode_s > 10 * two.decode_s


@pytest.mark.parametrize("absurd", [0.0, -1.0, math.nan, math.inf, -math.inf, 5e-324, 1e300])
def test_an_absurd_measurement_counts_as_none(absurd: float) -> None:
    machine, cold = a_machine("desk"), ReplicaStatus()
    told = ReplicaStatus(prefill_tokens_per_s=absurd, decode_tokens_per_s=absurd, load_s=absurd)
    expected = speed_of(machine, LLAMA, cold)
    speed = speed_of(machine, LLAMA, told)
    assert (speed.prefill_s, speed.decode_s) == (expected.prefill_s, expected.decode_s)
    assert math.isfinite(speed.load_s)
    assert 0 < speed.load_s <= 3600


statuses = st.builds(
    ReplicaStatus,
    state=st.sampled_from(ReplicaState),
    prefill_tokens_per_s=st.floats(),
    decode_tokens_per_s=st.floats(),
    load_s=st.floats(),
)
demands = st.builds(asked, st.integers(-(2**40), 2**40), st.integers(-(2**40), 2**40))
sizes = st.integers(-5, 2**63)


@given(statuses, demands, sizes, st.integers(-5, 10**6), st.booleans())
def test_every_cost_is_a_finite_positive_number(
    status: ReplicaStatus, request: Request, size: int, cores: int, free: bool
) -> None:
    speed = speed_of(a_machine("desk", cores), a_model("m", parameters=size), status)
    predicted = predict(Demand.of(request), speed, 0.0, free=free)
    for weights in WEIGHTS.values():
        assert math.isfinite(weights.cost(predicted))
        assert weights.cost(predicted) > 0


def test_an_answer_is_expected_to_be_as_long_as_usual_unless_a_shorter_one_is_asked_for() -> None:
    lengths = [Demand.of(asked(400, max_tokens)).output_tokens for max_tokens in (0, 10, 10**6)]
    assert lengths == [128, 10, 128]


def test_every_policy_has_weights_that_count_both_ends_of_an_answer() -> None:
    assert set(WEIGHTS) == set(Policy)
    assert all(each.first_token > 0 and each.completion > 0 for each in WEIGHTS.values())


def test_fast_minds_the_whole_answer_and_the_others_the_first_token() -> None:
    machine = a_machine("desk")
    starts_quickly = speed_of(machine, LLAMA, warm(prefill=1000, decode=10))
    ends_quickly = speed_of(machine, LLAMA, warm(prefill=50, decode=40))
    early, late = (predict(DEMAND, each, 0.0, free=True) for each in (starts_quickly, ends_quickly))
    for policy, weights in WEIGHTS.items():
        prefers_early_start = weights.cost(early) < weights.cost(late)
        assert prefers_early_start == (policy is not Policy.FAST)
