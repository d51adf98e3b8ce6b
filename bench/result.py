"""What every benchmark prints last, and where it ran."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version

import psutil

Figures = Mapping[str, float | int | None]


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the nearest-rank percentile of ``values``, which must not be empty."""
    ordered = sorted(values)
    rank = max(1, -(-len(ordered) * percent // 100))
    return ordered[int(rank) - 1]


def print_result(name: str, figures: Figures) -> None:
    """Print figures for people, then the one line that programs read."""
    width = max(map(len, figures))
    for key, value in figures.items():
        shown = "not measured" if value is None else f"{value:,.3f}".rstrip("0").rstrip(".")
        print(f"  {key:<{width}}  {shown}")
    print(json.dumps({"bench": name, "figures": dict(figures), "env": _environment()}))


def _environment() -> dict[str, object]:
    return {
        "platform": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "load_average": list(os.getloadavg()),
        **{
            name: _installed(name)
            for name in ("grpcio", "llama-cpp-python", "xllamacpp", "uvloop", "deskmesh")
        },
    }


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
