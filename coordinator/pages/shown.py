"""Numbers as people read them on the page. Each is as short as it may be and still true."""

from collections import Counter

from mesh.core.types import Machine

_UNITS = ("B", "KB", "MB", "GB", "TB")
GPUS_SHOWN_MAX = 3  # kinds; who has more has a page for them
_STEP = 5  # per cent: finer steps would only flicker


def size(count_bytes: float) -> str:
    """``1536`` is ``1.5 KB``."""
    for unit in _UNITS:
        if count_bytes < 1000 or unit == _UNITS[-1]:
            digits = 1 if 0 < count_bytes < 10 else 0
            return f"{count_bytes:.{digits}f} {unit}"
        count_bytes /= 1000
    raise AssertionError("the last unit takes all")


def memory(count_bytes: float) -> str:
    """Memory is sold in powers of two: ``17179869184`` is ``16 GB``."""
    gib = count_bytes / 2**30
    return f"{gib:.0f}\u00a0GB" if gib >= 4 else f"{gib:.1f}\u00a0GB"


def gpus_of(machine: Machine, *, whether_idle: bool = False) -> str:
    """Name a machine's GPUs with their memory, each kind once: ``2 x NVIDIA L4 24 GB``."""
    named = Counter(
        f"{each.name}{f' {memory(each.memory_bytes)}' if each.memory_bytes else ''}"
        f"{' (unused: its engine was built without it)' if whether_idle and each.idle else ''}"
        for each in machine.accelerators
    )
    shown = [f"{many} x {name}" if many > 1 else name for name, many in named.items()]
    more = [f"{len(shown) - GPUS_SHOWN_MAX} more kinds"] if len(shown) > GPUS_SHOWN_MAX else []
    return ", ".join([*shown[:GPUS_SHOWN_MAX], *more])


def count(number: float) -> str:
    """``12345`` is ``12,345``; from a hundred thousand on, ``123K``."""
    if number < 100_000:
        return f"{number:,.0f}"
    for unit in ("K", "M"):
        number /= 1000
        if number < 1000:
            return f"{number:.3g}{unit}"
    return f"{number / 1000:.3g}B"


def parameters(number: float) -> str:
    """``1240000000`` is ``1.24B``."""
    for unit in ("", "K", "M"):
        if number < 1000:
            return f"{number:.3g}{unit}"
        number /= 1000
    return f"{number:.3g}B"


def duration(value_s: float) -> str:
    """Milliseconds below one second, else what a person would say."""
    if value_s < 1:
        return f"{value_s * 1000:.0f} ms"
    if value_s < 10:
        return f"{value_s:.1f} s"
    for limit_s, unit_s, unit in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if value_s < limit_s:
            return f"{value_s / unit_s:.0f} {unit}"
    return f"{value_s / 86_400:.0f} days"


def since(value_s: float) -> str:
    """A stretch of time that still grows: in steps, so that it is not news every second."""
    if value_s < 60:
        return f"{int(value_s / 5) * 5} s" if value_s >= 5 else "a moment"
    return duration(int(value_s / 60) * 60)


def usd(microusd: int) -> str:
    """Dollars, with as many digits as a small amount needs to be one."""
    if microusd == 0:
        return "$0"
    dollars = microusd / 1_000_000
    if dollars >= 1000:
        return f"${dollars:,.0f}"
    if dollars >= 0.1:
        return f"${dollars:.2f}"
    return f"${dollars:.4f}" if dollars >= 0.0001 else "< $0.0001"


def step(share: float) -> int:
    """A share in [0, 1] as per cent, in steps of ``_STEP``: what is above nothing is not 0."""
    per_cent = round(100 * share / _STEP) * _STEP
    return min(100, max(per_cent, _STEP if share > 0.005 else 0))


def rtt(value_s: float) -> str:
    """Round trips, in few enough steps that a steady link looks steady."""
    value_ms = value_s * 1000
    if value_ms <= 0:
        return ""
    if value_ms < 1:
        return "< 1 ms"
    return f"{value_ms:.0f} ms" if value_ms < 20 else f"{round(value_ms / 5) * 5} ms"
