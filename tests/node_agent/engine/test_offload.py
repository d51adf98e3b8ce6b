"""What a look at a real model says of its layers. Machines of the tests may have no GPU."""

from pathlib import Path

import pytest

from node_agent.engine import llama, offload
from node_agent.engine.abort import AbortFlag
from node_agent.engine.bindings import devices, free_gpu_bytes, native
from node_agent.engine.gpu_layers import OFF_MAX, Layers
from node_agent.engine.llama import Llama, LoadError
from node_agent.engine.load_progress import LoadProgress
from node_agent.engine.native_log import NativeLog
from node_agent.engine.offload import Offload

native.llama_backend_init()
TOKEN_BYTES = 2 * 2 * (32 + 32) * 2  # two layers, two heads, keys and values of 32 halves each


def test_a_look_counts_layers_weights_and_the_cache_of_all_slots(random_model: Path) -> None:
    looked = offload.look(random_model, context_tokens=512, slots=3)
    assert looked is not None
    assert (looked.count, looked.cache_bytes) == (2, 3 * 512 * TOKEN_BYTES)
    assert 0.9 * random_model.stat().st_size < looked.weights_bytes < random_model.stat().st_size


def test_a_model_trained_for_less_takes_less_cache(random_model: Path) -> None:
    looked = offload.look(random_model, context_tokens=10**6, slots=1)
    assert looked is not None
    assert looked.cache_bytes == 1024 * TOKEN_BYTES


def test_what_is_no_model_has_no_layers(tmp_path: Path) -> None:
    file = tmp_path / "text.gguf"
    file.write_bytes(b"Call me Ishmael.")
    assert offload.look(file, context_tokens=64, slots=1) is None


def test_layers_go_where_a_gpu_is_and_nowhere_else(
    random_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def layers() -> int:
        return offload.offload(random_model, context_tokens=512, slots=1).layers

    assert bool(free_gpu_bytes()) == any(device.gpu for device in devices())
    monkeypatch.setattr(offload, "free_gpu_bytes", lambda: (8 << 30,))
    assert layers() == 3
    monkeypatch.setattr(offload, "look", lambda *_, **__: Layers(2, 12 << 30, 0))
    assert layers() == 1
    monkeypatch.setattr(offload, "free_gpu_bytes", lambda: ())
    assert layers() == 0


def test_how_many_layers_a_gpu_has_is_in_the_fingerprint(
    random_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def numerics(layers: int) -> str:
        monkeypatch.setattr("node_agent.engine.llama.offload", lambda *_, **__: Offload(layers))
        llama = Llama(random_model, context_tokens=64, slots=1, threads=1, abort=AbortFlag())
        return llama.numerics

    assert numerics(0) == numerics(0) != numerics(1)


def _loading(monkeypatch: pytest.MonkeyPatch, fails: dict[int, str]) -> list[int]:
    """Let loads with so many layers fail, and return the list of all that were tried."""
    tried: list[int] = []
    real = llama.load_weights

    def load(
        path: Path, log: NativeLog, *, gpu_layers: int, progress: LoadProgress | None
    ) -> object:
        tried.append(gpu_layers)
        if gpu_layers in fails:
            raise LoadError(fails[gpu_layers])
        return real(path, log, gpu_layers=gpu_layers, progress=progress)

    monkeypatch.setattr(llama, "load_weights", load)
    monkeypatch.setattr(llama, "offload", lambda *_, **__: Offload(10))
    return tried


def test_a_gpu_without_the_memory_gets_fewer_layers_and_the_model_is_served(
    random_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lacks = "allocating 64 MiB on device 0: cudaMalloc failed: out of memory"
    tried = _loading(monkeypatch, {10: lacks, 8: lacks, 5: lacks})
    model = Llama(random_model, context_tokens=64, slots=1, threads=1, abort=AbortFlag())
    assert tried == [10, 8, 5, 0]
    assert (model.gpu_layers, model.spared_layers) == (0, 10)


def test_a_load_that_fails_for_another_reason_fails_at_once(
    random_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = _loading(monkeypatch, {10: "unknown model architecture: 'x'"})
    with pytest.raises(LoadError, match="unknown"):
        Llama(random_model, context_tokens=64, slots=1, threads=1, abort=AbortFlag())
    assert tried == [10]


def test_a_load_that_is_to_leave_the_gpu_alone_looks_at_none(
    random_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offload, "free_gpu_bytes", lambda: (8 << 30,))
    llama = Llama(
        random_model, context_tokens=64, slots=1, threads=1, abort=AbortFlag(), gpu_off=None
    )
    assert (llama.gpu_layers, llama.spared_layers) == (0, 0)
    assert llama.gpu_off == OFF_MAX, "the next load tries little"
