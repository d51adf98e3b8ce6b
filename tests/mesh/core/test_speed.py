"""How fast a replica is taken to be: by its node's word, its batch, and what we measured."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.core.experience import Experience
from mesh.core.speed import TOLD_WITHIN, slowdown, speed_of
from mesh.core.types import Accelerator, ReplicaState, ReplicaStatus
from tests.mesh.core.script import LLAMA, a_machine, warm

MACHINE = a_machine("desk")
TOLD = ReplicaStatus(state=ReplicaState.WARM, decode_rates_by_batch=(100.0, 0.0, 50.0, 0.0, 20.0))


def test_a_token_takes_as_long_as_was_told_for_the_batch() -> None:
    speeds = [speed_of(MACHINE, LLAMA, TOLD, batch=batch).decode_s for batch in (1, 4, 16)]
    assert speeds == [pytest.approx(1 / rate) for rate in (100, 50, 20)]


def test_between_told_batches_it_takes_as_long_as_lies_between() -> None:
    assert slowdown(TOLD.decode_rates_by_batch, 2) == pytest.approx(math.sqrt(2))
    assert 2 < slowdown(TOLD.decode_rates_by_batch, 8) < 5


def test_without_such_rates_a_larger_batch_slows_everyone_a_little_less_than_its_size() -> None:
    assert slowdown((), 1) == 1
    assert 2 < slowdown((), 4) < 4 < slowdown((), 16) < 16


@given(st.lists(st.floats(), max_size=9), st.integers(-5, 2**31))
def test_whatever_is_told_a_batch_slows_by_no_more_than_its_size(
    told: list[float], batch: int
) -> None:
    assert 1 <= slowdown(told, batch) <= max(1, batch)


def test_half_a_load_takes_half_the_time() -> None:
    loading = ReplicaStatus(state=ReplicaState.LOADING, load_s=10, load_progress=0.5)
    assert speed_of(MACHINE, LLAMA, loading).load_s == pytest.approx(5, rel=0.15)


def test_a_load_that_is_told_to_be_nearly_over_still_takes_some_time() -> None:
    loading = ReplicaStatus(state=ReplicaState.LOADING, load_s=10, load_progress=1.0)
    assert speed_of(MACHINE, LLAMA, loading).load_s == pytest.approx(1)


def test_a_load_takes_as_long_as_it_did_whatever_is_told() -> None:
    experience = Experience()
    for _ in range(10):
        experience.load_s.add(20.0)
    told = ReplicaStatus(state=ReplicaState.AVAILABLE, load_s=0.01)
    assert speed_of(MACHINE, LLAMA, told, experience).load_s > 14


def measured(prefill_s: float, decode_s: float, answers: int) -> Experience:
    experience = Experience()
    for _ in range(answers):
        experience.prefill_s.add(prefill_s)
        experience.decode_s.add(decode_s)
    return experience


@pytest.mark.parametrize("absurd", [1e7, 1e-3])
def test_a_node_that_tells_absurd_rates_is_believed_once(absurd: float) -> None:
    """The fastest and the slowest that a report may say."""
    status = warm(prefill=absurd, decode=absurd)
    told = speed_of(MACHINE, LLAMA, status)
    assert told.decode_s == pytest.approx(1 / absurd)
    for answers, within in ((1, TOLD_WITHIN), (20, 1.2)):
        speed = speed_of(MACHINE, LLAMA, status, measured(0.002, 0.02, answers))
        assert 1 / within <= speed.prefill_s / 0.002 <= within
        assert 1 / within <= speed.decode_s / 0.02 <= within


def test_what_a_prior_guessed_wrong_is_mended_by_answers() -> None:
    unknown = ReplicaStatus(state=ReplicaState.WARM)
    speed = speed_of(MACHINE, LLAMA, unknown, measured(0.05, 0.5, 20))
    assert speed.prefill_s == pytest.approx(0.05, rel=0.2)
    assert speed.decode_s == pytest.approx(0.5, rel=0.2)


def test_what_was_measured_long_ago_gives_way_to_what_the_node_says() -> None:
    experience = measured(0.2, 2.0, 20)
    experience.age(3600)
    speed = speed_of(MACHINE, LLAMA, warm(prefill=500, decode=50), experience)
    assert speed.decode_s == pytest.approx(1 / 50, rel=0.1)


def test_an_unmeasured_gpu_is_expected_to_be_quicker_where_it_is_used_and_the_model_fits() -> None:
    unmeasured = ReplicaStatus(state=ReplicaState.WARM)

    def decode_s(*gpus: Accelerator) -> float:
        machine = replace(MACHINE, accelerators=gpus)
        return speed_of(machine, LLAMA, unmeasured).decode_s

    card = Accelerator("NVIDIA L4", "cuda", memory_bytes=2 * LLAMA.size_bytes)
    processor = decode_s()
    assert decode_s(card) < processor / 5
    assert decode_s(Accelerator("Apple GPU", "metal")) < processor / 2
    assert decode_s(replace(card, idle=True)) == processor
    assert decode_s(replace(card, memory_bytes=LLAMA.size_bytes)) == processor
    assert decode_s(Accelerator("Iris Xe", "vulkan")) == processor
    assert decode_s(replace(card, idle=True), card) < processor / 5


def test_what_a_node_measured_counts_more_than_what_it_has() -> None:
    card = Accelerator("NVIDIA L4", "cuda", memory_bytes=2 * LLAMA.size_bytes)
    machine = replace(MACHINE, accelerators=(card,))
    assert speed_of(machine, LLAMA, TOLD).decode_s == pytest.approx(1 / 100)
