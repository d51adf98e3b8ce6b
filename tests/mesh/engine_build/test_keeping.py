"""An engine is built once, and found again by what decides its machine code."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from mesh.engine_build import keeping
from mesh.engine_build.keeping import KeptWheels
from mesh.engine_build.plan import Backend, BuildPlan, plan
from mesh.errors import InvalidRequest
from mesh.gpus.gpu import Gpu, Vendor

CARDS = [Gpu(Vendor.NVIDIA, "RTX 4090"), Gpu(Vendor.NVIDIA, "RTX 3060")]


def wanted(backend: Backend) -> BuildPlan:
    return plan(backend, "asked", platform="linux", cores=2, found=lambda _name: "/usr/bin/it")


@pytest.fixture
def builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str]]:
    """Options of each build that ran; compiling takes no time here."""
    ran: list[Sequence[str]] = []

    def build(cmake_args: Sequence[str], folder: Path, told: Callable[[int, int], None]) -> Path:
        told(1, 1)
        ran.append(cmake_args)
        wheel = folder / "engine.whl"
        wheel.write_text(" ".join(cmake_args), encoding="utf-8")
        return wheel

    monkeypatch.setattr(keeping, "build_wheel", build)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return ran


def quiet(done: int, all_: int) -> None:
    """Hears how far it is."""


def test_an_engine_is_built_once(builds: list[Sequence[str]]) -> None:
    kept = KeptWheels(wanted(Backend.VULKAN), CARDS)
    assert kept.found() is None
    wheel = kept.made(quiet)
    again = KeptWheels(wanted(Backend.VULKAN), CARDS[::-1])
    assert again.found() == again.made(quiet) == wheel
    assert len(builds) == 1


def test_one_for_a_gpu_is_never_taken_for_another(builds: list[Sequence[str]]) -> None:
    made = {KeptWheels(wanted(backend), CARDS).made(quiet) for backend in Backend}
    made.add(KeptWheels(wanted(Backend.CUDA), CARDS[:1]).made(quiet))
    assert len(made) == len(builds) == len(Backend) + 1
    assert KeptWheels(wanted(Backend.CPU), []).found() in made, "its GPUs do not matter to that one"


def test_two_builds_of_one_engine_do_not_run_at_once(builds: list[Sequence[str]]) -> None:
    kept = KeptWheels(wanted(Backend.CPU), [])
    kept.cache.mkdir(parents=True)
    another = keeping._alone(kept.cache / f"{kept.build.key}.lock")
    with another, pytest.raises(InvalidRequest, match="another process"):
        kept.made(quiet)
    assert not builds
