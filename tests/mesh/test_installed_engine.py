"""What an engine says of itself is read, and what it does not say is told in words."""

import json

import pytest

from mesh.installed_engine import installed_engine, read_answer

CUDA = {
    "name": "CUDA0",
    "description": "NVIDIA H100",
    "kind": "gpu",
    "memory_bytes": 80 << 30,
    "free_bytes": 79 << 30,
}
CPU = {**CUDA, "name": "CPU", "kind": "cpu"}


def test_devices_are_read_and_gpus_told_apart() -> None:
    said = {"version": "0.3.36", "devices": [CPU, CUDA], "system": "CPU : AVX = 1"}
    engine = read_answer(b"ggml_cuda_init: found 1\n" + json.dumps(said).encode() + b"\n", 0)
    assert [device.name for device in engine.gpus] == ["CUDA0"]
    assert engine.error == ""


@pytest.mark.parametrize(
    ("output", "code", "why"),
    [
        (b"", -4, "killed by signal 4"),
        (b"", 1, "ended with status 1"),
        (b"not json", 0, "ended with status 0"),
        (b'{"devices": [{"name": "x"}]}', 0, "ended with status 0"),
        (b'{"error": "OSError: libcuda.so.1: no such file"}', 1, "libcuda.so.1"),
    ],
)
def test_an_engine_that_does_not_load_is_an_error_in_words(
    output: bytes, code: int, why: str
) -> None:
    assert why in read_answer(output, code).error


def test_the_engine_of_this_environment_says_what_it_computes_on() -> None:
    pytest.importorskip("llama_cpp")
    engine = installed_engine()
    assert engine.error == ""
    assert "cpu" in {device.kind for device in engine.devices}
    assert all(device.memory_bytes > 0 for device in engine.devices)


def test_a_python_that_is_not_there_is_an_error_in_words() -> None:
    assert "could be started" in installed_engine("/nowhere/python").error
