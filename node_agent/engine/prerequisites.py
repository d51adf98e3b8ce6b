"""What an engine needs of this machine, and what the machine has to give."""

import os
from importlib.util import find_spec

import psutil

from node_agent.engine.protocol import LoadFailed


def check_installed() -> None:
    """Raise LoadFailed, naming what is missing, where the extra ``node`` is not installed."""
    for module, package in (("llama_cpp", "llama-cpp-python"), ("jinja2", "jinja2")):
        if find_spec(module) is None:
            raise LoadFailed(
                f"{package} is not installed, so no model can run here",
                hint="pip install 'deskmesh[node]'",
            )


def physical_cores() -> int:
    """Return how many physical cores we may use; more threads only slow llama.cpp down."""
    physical = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else physical
    return max(1, min(physical, allowed))
