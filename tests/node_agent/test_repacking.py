"""Weights that a processor holds anew, by its features."""

import pytest

from node_agent.repacking import AVX2, AVX512, DOT, MATRIX, features_in, processor_features, repacks

INTEL = frozenset({AVX2})
ARM = frozenset({DOT})


@pytest.mark.parametrize(
    ("tensor_type", "on_intel", "on_arm"),
    [
        ("Q4_0", True, True),
        ("Q4_K", True, True),
        ("IQ4_NL", True, True),
        ("Q8_0", False, True),
        ("Q6_K", False, True),
        ("F16", False, False),
        ("Q3_K", False, False),
    ],
)
def test_types_are_held_anew_as_ggml_does(tensor_type: str, on_intel: bool, on_arm: bool) -> None:
    assert repacks(tensor_type, 64, INTEL) == on_intel
    assert repacks(tensor_type, 64, ARM) == on_arm
    assert not repacks(tensor_type, 64, frozenset())


def test_rows_that_do_not_divide_stay_as_they_are() -> None:
    assert not repacks("Q4_0", 60, INTEL)
    assert repacks("Q4_0", 60, ARM)


def test_only_the_newest_intel_processors_hold_the_smallest_types_anew() -> None:
    assert not repacks("Q2_K", 64, INTEL)
    assert repacks("Q2_K", 64, INTEL | {AVX512})


def test_features_are_read_or_guessed_by_the_machine() -> None:
    assert features_in("fpu sse avx avx2 bmi", "x86_64") == {AVX2}
    assert features_in("fp asimd asimddp i8mm", "aarch64") == {DOT, MATRIX}
    assert features_in("fpu sse4_2", "x86_64") == frozenset()
    assert features_in("", "arm64") == {DOT}
    assert features_in("", "AMD64") == {AVX2}
    assert processor_features() <= {AVX2, AVX512, DOT, MATRIX}
