"""What is built for which machine, and what is said of it first."""

import pytest

from mesh.engine_build.plan import Backend, BuildPlan, pick, plan
from mesh.gpus.gpu import Gpu, Vendor


def planned(backend: Backend, *here: str, platform: str = "linux", cores: int = 4) -> BuildPlan:
    found = {name: f"/usr/bin/{name}" for name in here}
    return plan(backend, "why", platform=platform, cores=cores, found=found.get)


def a_gpu(vendor: Vendor, *, ready: bool = True, integrated: bool = False) -> Gpu:
    return Gpu(vendor, f"{vendor} card", ready=ready, integrated=integrated)


@pytest.mark.parametrize(
    ("vendor", "backend"),
    [
        (Vendor.NVIDIA, Backend.CUDA),
        (Vendor.AMD, Backend.VULKAN),
        (Vendor.INTEL, Backend.VULKAN),
        (Vendor.APPLE, Backend.METAL),
    ],
)
def test_a_gpu_gets_the_backend_that_suits_it(vendor: Vendor, backend: Backend) -> None:
    picked, why = pick([a_gpu(vendor)])
    assert picked is backend
    assert "card" in why


def test_gpus_that_are_no_use_leave_the_processor() -> None:
    gpus = [a_gpu(Vendor.NVIDIA, ready=False), a_gpu(Vendor.INTEL, integrated=True)]
    assert pick(gpus)[0] is Backend.CPU
    assert pick([])[0] is Backend.CPU


@pytest.mark.parametrize("backend", list(Backend))
def test_every_backend_has_options_of_its_own(backend: Backend) -> None:
    build = planned(backend, "g++")
    assert all(each.startswith("-D") and "=" in each for each in build.cmake_args)
    assert len({planned(each, "g++").cmake_args for each in Backend}) == len(Backend)


def test_what_is_missing_is_named_with_how_to_get_it() -> None:
    assert planned(Backend.CPU, "g++").missing == ()
    (compiler,) = planned(Backend.CPU).missing
    assert "apt install g++" in compiler
    (toolkit,) = planned(Backend.CUDA, "clang++").missing
    assert "nvidia-cuda-toolkit" in toolkit
    assert "not to be had on darwin" in planned(Backend.ROCM, "c++", platform="darwin").missing[0]


def test_what_it_takes_depends_on_the_cores() -> None:
    assert planned(Backend.CPU, "g++", cores=2).takes == "about 7 min of all cores, and up to 3 GiB"
    assert planned(Backend.CUDA, "g++", "nvcc", cores=64).takes.startswith("at least 1 min")
