"""What platforms tell of GPUs is read, whatever else is in it."""

from pathlib import Path

import pytest

from mesh.gpus.gpu import GPUS_MAX, NAME_CHARS_MAX, Gpu, Vendor
from mesh.gpus.look import apple_gpus, best_first, joined, reachable
from mesh.gpus.nvidia import gpu_of_information, gpus_of_query
from mesh.gpus.pci import gpus_on_pci
from mesh.gpus.unused import unused_gpus

H100 = Gpu(Vendor.NVIDIA, "NVIDIA H100 80GB HBM3", 81559 << 20)


def pci_device(devices: Path, address: str, driver: str = "", **files: str) -> None:
    folder = devices / address
    folder.mkdir(parents=True)
    for name, text in {"class": "0x030000", **files}.items():
        (folder / name).write_text(text + "\n", encoding="ascii")
    if driver:
        target = devices.parent / "drivers" / driver
        target.mkdir(parents=True, exist_ok=True)
        (folder / "driver").symlink_to(target)


def test_each_line_of_nvidia_smi_is_a_gpu() -> None:
    said = "NVIDIA H100 80GB HBM3, 81559\nNVIDIA GeForce RTX 3060, 12288\n"
    assert gpus_of_query(said) == (H100, Gpu(Vendor.NVIDIA, "NVIDIA GeForce RTX 3060", 12 << 30))


def test_a_gpu_that_shares_the_memory_says_no_size() -> None:
    assert gpus_of_query("NVIDIA GB10, [N/A]\n") == (Gpu(Vendor.NVIDIA, "NVIDIA GB10", None),)


@pytest.mark.parametrize(
    "said",
    [
        "",
        "No devices were found\n",
        "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n",
        "name, memory.total [MiB]\n",
        "a, b, c\n",
        "\x00\x00\n",
    ],
)
def test_what_is_no_list_of_gpus_has_none(said: str) -> None:
    assert gpus_of_query(said) == ()


def test_a_name_can_be_shown_and_a_size_believed() -> None:
    odd = f"\x1b[31mGPU\u202e {'x' * 500}, 99999999999\n"
    (gpu,) = gpus_of_query(odd)
    assert gpu.name.isprintable()
    assert len(gpu.name) <= NAME_CHARS_MAX
    assert gpu.memory_bytes is None


def test_no_more_gpus_are_read_than_a_machine_has() -> None:
    assert len(gpus_of_query("GPU, 1024\n" * 100_000)) == GPUS_MAX


def test_the_drivers_file_names_its_gpu() -> None:
    text = "Model: \t\t NVIDIA GeForce RTX 4090\nIRQ:   \t\t 170\nGPU UUID: \t GPU-0\n"
    assert gpu_of_information(text) == Gpu(Vendor.NVIDIA, "NVIDIA GeForce RTX 4090")
    assert gpu_of_information("").name == "NVIDIA GPU"


def test_gpus_are_told_from_the_other_devices_of_a_bus(tmp_path: Path) -> None:
    devices = tmp_path / "devices"
    pci_device(devices, "0000:00:00.0", **{"class": "0x060000", "vendor": "0x8086"})
    pci_device(devices, "0000:00:02.0", "i915", vendor="0x8086", device="0x46a6")
    pci_device(
        devices, "0000:03:00.0", "amdgpu",
        vendor="0x1002", device="0x744c", mem_info_vram_total=str(24 << 30),
    )  # fmt: skip
    pci_device(devices, "0000:04:00.0", "nouveau", vendor="0x10de", device="0x2684")
    assert gpus_on_pci(devices) == (
        Gpu(Vendor.INTEL, "Intel GPU 0x46a6", integrated=True),
        Gpu(Vendor.AMD, "AMD GPU 0x744c", 24 << 30),
        Gpu(Vendor.NVIDIA, "NVIDIA GPU 0x2684", ready=False),
    )


def test_a_processors_own_gpu_is_known_by_the_little_memory_set_aside(tmp_path: Path) -> None:
    said = {"vendor": "0x1002", "device": "0x1681", "mem_info_vram_total": str(512 << 20)}
    pci_device(tmp_path / "devices", "0000:c4:00.0", "amdgpu", **said)
    assert [each.integrated for each in gpus_on_pci(tmp_path / "devices")] == [True]


@pytest.mark.parametrize("odd", ["", "x", "-1", "0x" + "f" * 300, "\x00"])
def test_odd_files_on_the_bus_are_no_gpu(tmp_path: Path, odd: str) -> None:
    pci_device(tmp_path / "a", "0000:01:00.0", vendor=odd)
    pci_device(tmp_path / "b", "0000:01:00.0", **{"class": odd, "vendor": "0x10de"})
    assert gpus_on_pci(tmp_path / "a") == gpus_on_pci(tmp_path / "b") == ()
    assert gpus_on_pci(tmp_path / "nowhere") == ()


def test_a_gpu_that_its_driver_tells_of_is_not_counted_on_the_bus_again() -> None:
    on_bus = Gpu(Vendor.NVIDIA, "NVIDIA GPU 0x2330")
    assert joined((H100,), (on_bus,)) == (H100,)
    assert [gpu.ready for gpu in joined((), (on_bus,))] == [False]


def test_a_bus_seen_from_a_container_without_devices_offers_nothing() -> None:
    (gpu,) = reachable((Gpu(Vendor.AMD, "AMD GPU"),), may_compute=False)
    assert not gpu.ready


def test_apple_silicon_has_a_gpu_and_an_intel_mac_none() -> None:
    assert [gpu.vendor for gpu in apple_gpus("arm64")] == [Vendor.APPLE]
    assert apple_gpus("x86_64") == ()


@pytest.mark.parametrize(
    ("gpus", "engine_sees", "command"),
    [
        ((), 0, None),
        ((H100,), 1, None),
        ((H100,), 0, "deskmesh engine install --cuda"),
        ((Gpu(Vendor.AMD, "AMD GPU", 24 << 30),), 0, "deskmesh engine install --vulkan"),
        (apple_gpus("arm64"), 0, "deskmesh engine install --metal"),
        ((Gpu(Vendor.INTEL, "Intel GPU", integrated=True),), 0, None),
        ((Gpu(Vendor.NVIDIA, "NVIDIA GPU", ready=False),), 0, None),
    ],
)
def test_a_gpu_that_could_work_and_does_not_is_named_with_its_command(
    gpus: tuple[Gpu, ...], engine_sees: int, command: str | None
) -> None:
    unused = unused_gpus(gpus, engine_sees=engine_sees)
    assert (unused.command if unused else None) == command


def test_the_best_gpu_comes_first() -> None:
    small, within = Gpu(Vendor.NVIDIA, "small", 4 << 30), Gpu(Vendor.AMD, "apu", integrated=True)
    lost = Gpu(Vendor.NVIDIA, "lost", 99 << 30, ready=False)
    assert best_first((lost, within, small, H100)) == (H100, small, within, lost)
