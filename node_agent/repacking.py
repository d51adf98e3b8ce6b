"""Which weights ggml lays out anew for a processor, and so holds beside their file. Pure, but for
one look at the processor.

The table is that of ``ggml_repack_get_optimal_repack_type`` in llama.cpp's
``ggml/src/ggml-cpu/repack.cpp`` (read in 2026-11; commit 00d3d1d8 of ggml-org/llama.cpp), for
x86-64 and for 64-bit Arm. RISC-V is left out. Only matrices that are multiplied are: of two
dimensions, or of three where they are experts. Measured with llama-cpp-python 0.3.36 on AVX2.
"""

import platform
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

AVX2, AVX512, DOT, MATRIX = "avx2", "avx512f", "asimddp", "i8mm"

# By the type of the tensor: any of these features, and rows that this number divides.
_ON_INTEL: Mapping[str, tuple[str, int]] = {
    "Q4_0": (AVX2, 8),
    "Q4_K": (AVX2, 8),
    "Q2_K": (AVX512, 8),
    "IQ4_NL": (AVX2, 8),
    "MXFP4": (AVX2, 8),
}
_ON_ARM: Mapping[str, int] = {
    "Q4_0": 4,
    "Q4_K": 8,
    "Q5_K": 8,
    "Q6_K": 8,
    "Q8_0": 4,
    "IQ4_NL": 4,
    "MXFP4": 4,
}


def repacks(tensor_type: str, rows: int, features: frozenset[str]) -> bool:
    """Return whether a matrix of that type is held anew on a processor with ``features``."""
    on_intel = _ON_INTEL.get(tensor_type)
    if on_intel is not None and on_intel[0] in features:
        return rows % on_intel[1] == 0
    if tensor_type in _ON_ARM and features & {DOT, MATRIX}:
        return rows % _ON_ARM[tensor_type] == 0
    return False


@cache
def processor_features() -> frozenset[str]:
    """Return those of this processor's features that decide it."""
    return features_in(_told_features(), platform.machine())


def features_in(told: str, machine: str) -> frozenset[str]:
    """Return the features in what a system tells, or what such machines have if it tells nothing.

    Every Arm Mac can multiply dot products, and nearly every Intel machine in use has AVX2.
    """
    words = set(told.split())
    if not words:
        words = {DOT} if machine.lower() in ("arm64", "aarch64") else {AVX2}
    return frozenset(words & {AVX2, AVX512, DOT, MATRIX})


def _told_features() -> str:
    """Return the flags of the first processor; "" where the system has none to tell."""
    if sys.platform != "linux":
        return ""
    try:
        with Path("/proc/cpuinfo").open() as lines:
            for line in lines:
                name, _, value = line.partition(":")
                if name.strip() in ("flags", "Features"):
                    return value
    except OSError:
        pass
    return ""
