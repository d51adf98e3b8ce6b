"""Predictions: what was measured wins, and absurd measurements count as none."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mesh.core.cost import Demand, Strain, cost_of, factor_of, predict, strain_of
from mesh.core.policies import BUILT_IN
from mesh.core.speed import speed_of
from mesh.core.types import Load, Policy, ReplicaState, ReplicaStatus, Request, Tier
from tests.mesh.core.script import LLAMA, a_machine, a_model, key, warm

DEMAND = Demand(prompt_tokens=100, output_tokens=50)


def asked(prompt_bytes: int, max_tokens: int) -> Request:
    return Request(
        key("r1"), "llama", Tier.MESH, Policy.BALANCED, prompt_bytes, max_tokens, deadline_s=1.0
    )


def test_a_warm_free_replica_takes_round_trip_prefill_and_decode() -> None:
    speed = speed_of(a_machine("desk"), LLAMA, warm(prefill=200, decode=10))
    predicted = predict(DEMAND, speed, 0.05)
    assert predicted.first_token_s == pytest.approx(0.05 + 100 / 200 + 1 / 10)
    assert predicted.completion_s == pytest.approx(predicted.first_token_s + 50 / 10)


def test_what_must_be_waited_for_comes_on_top() -> None:
    speed = speed_of(a_machine("desk"), LLAMA, warm(prefill=200, decode=10))
    free, waits = (predict(DEMAND, speed, 0.0, wait_s=wait_s) for wait_s in (0.0, 2.5))
    assert waits.first_token_s - free.first_token_s == pytest.approx(2.5)
    assert waits.completion_s - free.completion_s == pytest.approx(2.5)


def test_another_model_at_work_on_the_machine_halves_it() -> None:
    speed = speed_of(a_machine("desk"), LLAMA, warm(prefill=200, decode=10))
    alone, shared = (predict(DEMAND, speed, 0.0, crowd=crowd) for crowd in (0, 1))
    assert shared.completion_s == pytest.approx(2 * alone.completion_s)


def test_what_a_replica_holds_of_the_prompt_is_not_read_again() -> None:
    assert DEMAND.less(90) == Demand(prompt_tokens=10, output_tokens=50)
    assert DEMAND.less(1e300).prompt_tokens == 1  # the last token is always read


def test_most_machines_are_not_strained() -> None:
    assert strain_of(Load(cpu=0.2, memory=0.9, temperature=0.6, battery=0.3)) is None


def test_a_machine_on_battery_costs_more_the_emptier_it_is() -> None:
    full, low = (strain_of(Load(on_battery=True, battery=charged)) for charged in (1.0, 0.2))
    assert full is not None
    assert low is not None
    assert 0 < full.battery < low.battery <= 1


def test_heat_and_an_owner_at_work_cost() -> None:
    hot, owned = strain_of(Load(temperature=0.85)), strain_of(Load(cpu=0.625))
    assert hot is not None
    assert owned is not None
    assert hot.heat == pytest.approx(0.5)
    assert owned.owner == pytest.approx(0.5)


@given(st.builds(Load, cpu=st.floats(), battery=st.floats(), temperature=st.floats(),
                 on_battery=st.booleans()))  # fmt: skip
def test_an_absurd_load_strains_no_machine_more_than_a_real_one(load: Load) -> None:
    strain = strain_of(load) or Strain()
    for policy in BUILT_IN:
        assert 1 <= factor_of(policy, strain) <= factor_of(policy, Strain(1, 1, 1))


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
    load_progress=st.floats(),
    decode_rates_by_batch=st.lists(st.floats(), max_size=7).map(tuple),
)
demands = st.builds(asked, st.integers(-(2**40), 2**40), st.integers(-(2**40), 2**40))
sizes = st.integers(-5, 2**63)


@given(statuses, demands, sizes, st.integers(-5, 10**6), st.integers(0, 2**31))
@example(ReplicaStatus(state=ReplicaState.WARM), asked(0, 0), -1, 0, 0)
def test_every_cost_is_a_finite_positive_number(
    status: ReplicaStatus, request: Request, size: int, cores: int, batch: int
) -> None:
    machine, model = a_machine("desk", cores), a_model("m", parameters=size)
    speed = speed_of(machine, model, status, batch=batch)
    predicted = predict(Demand.of(request), speed, 0.0)
    for policy in BUILT_IN:
        assert 0 < cost_of(policy, predicted) < math.inf


def test_an_answer_is_expected_to_be_as_long_as_usual_unless_a_shorter_one_is_asked_for() -> None:
    lengths = [Demand.of(asked(400, max_tokens)).output_tokens for max_tokens in (0, 10, 10**6)]
    assert lengths == [128, 10, 128]


def test_every_policy_has_weights_that_count_both_ends_of_an_answer() -> None:
    assert all(each.first_token > 0 and each.completion > 0 for each in BUILT_IN)


def test_fast_minds_the_whole_answer_and_the_others_the_first_token() -> None:
    machine = a_machine("desk")
    starts_quickly = speed_of(machine, LLAMA, warm(prefill=1000, decode=10))
    ends_quickly = speed_of(machine, LLAMA, warm(prefill=50, decode=40))
    early, late = (predict(DEMAND, each, 0.0) for each in (starts_quickly, ends_quickly))
    for policy in BUILT_IN:
        prefers_early_start = cost_of(policy, early) < cost_of(policy, late)
        assert prefers_early_start == (policy is not Policy.FAST)
