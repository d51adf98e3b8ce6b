"""GPUs among a Linux machine's PCI devices: those without a driver as well.

Sources: Linux, Documentation/ABI/testing/sysfs-bus-pci (``vendor``, ``device``, ``class``,
``driver``); PCI Code and ID Assignment, base class 03, display controllers; Linux,
Documentation/gpu/amdgpu/driver-misc.rst (``mem_info_vram_total`` in bytes, ``product_name``).
"""

from pathlib import Path

from mesh.gpus.gpu import GPUS_MAX, Gpu, Vendor, plain_name, plausible_bytes

DEVICES = Path("/sys/bus/pci/devices")
DEVICES_MAX = 4096  # a PCI domain has 65,536 places; real machines have some hundred devices
VENDORS = {0x10DE: Vendor.NVIDIA, 0x1002: Vendor.AMD, 0x8086: Vendor.INTEL}
TITLES = {Vendor.NVIDIA: "NVIDIA GPU", Vendor.AMD: "AMD GPU", Vendor.INTEL: "Intel GPU"}

_DISPLAY_CLASS = 0x03
_INTEL_INTEGRATED = "00:02.0"  # where Intel's processors have theirs; a card sits behind a bridge
_CARVED_OUT_BYTES = 2 << 30  # AMD's processors take so much or less of the memory for theirs
_DRIVERS = {"nvidia", "amdgpu", "i915", "xe"}  # that an engine can compute through
_READ_BYTES_MAX = 256


def gpus_on_pci(devices: Path = DEVICES) -> tuple[Gpu, ...]:
    """Return the GPUs in this folder of PCI devices; none where there is no such folder."""
    try:
        folders = sorted(devices.iterdir())[:DEVICES_MAX]
    except OSError:
        return ()
    found = [gpu for folder in folders if (gpu := _gpu(folder)) is not None]
    return tuple(found[:GPUS_MAX])


def _gpu(folder: Path) -> Gpu | None:
    kind, vendor = _number(folder / "class", base=16), _number(folder / "vendor", base=16)
    if kind is None or kind >> 16 != _DISPLAY_CLASS or vendor not in VENDORS:
        return None
    maker = VENDORS[vendor]
    memory = _number(folder / "mem_info_vram_total", base=10)
    memory_bytes = plausible_bytes(memory) if memory is not None else None
    small = memory_bytes is not None and memory_bytes <= _CARVED_OUT_BYTES
    integrated = small or (maker is Vendor.INTEL and folder.name.endswith(_INTEL_INTEGRATED))
    device = _number(folder / "device", base=16)
    number = f" {device:#06x}" if device is not None else ""
    name = plain_name(_text(folder / "product_name"), otherwise=f"{TITLES[maker]}{number}")
    return Gpu(maker, name, memory_bytes, integrated=integrated, ready=_driver(folder) in _DRIVERS)


def _driver(folder: Path) -> str:
    try:
        return (folder / "driver").resolve(strict=True).name
    except (OSError, RuntimeError):  # none, or links in a circle
        return ""


def _number(path: Path, *, base: int) -> int | None:
    try:
        return int(_text(path)[:32], base)
    except ValueError:
        return None


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_READ_BYTES_MAX).decode("ascii", "replace").strip()
    except OSError:
        return ""
