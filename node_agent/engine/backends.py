"""What the installed engine computes on: ``python -m node_agent.engine.backends`` prints JSON.

A process of its own, as a library that does not fit the machine ends the process that loads it,
and as one that is loaded stays. ``llama_supports_gpu_offload`` is not asked: a build with RPC says
yes to it on a machine without any GPU (seen with 0.3.36). The list of devices tells.

Source: ggml's ``ggml-backend.h`` (``ggml_backend_dev_*``).
"""

import ctypes
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType

DEVICES_MAX = 64
KINDS = ("cpu", "gpu", "integrated gpu", "accelerator")  # by enum ggml_backend_dev_type


def main(arguments: Sequence[str]) -> int:
    """Print one JSON object: ``version``, ``devices`` and ``system``, or ``error``."""
    try:
        print_to(sys.stdout, seen())
    except (ImportError, OSError, RuntimeError, AttributeError) as failure:
        print_to(sys.stdout, {"error": f"{type(failure).__name__}: {failure}"[:500]})
        return 1
    return 0


def print_to(stream: Any, answer: dict[str, Any]) -> None:
    """Write one line, whole."""
    stream.write(json.dumps(answer) + "\n")
    stream.flush()


def seen() -> dict[str, Any]:
    """Load the engine, and return its version, its devices with their memory, and its CPU's skills.

    Raises:
        ImportError, OSError, RuntimeError, AttributeError: it is missing, or does not load.
    """
    from node_agent.engine import bindings

    bindings.native.llama_backend_init()
    return {
        "version": bindings.PACKAGE_VERSION,
        "devices": _devices(bindings),
        "system": bindings.native.llama_print_system_info().decode(errors="replace").strip(" |"),
    }


def _devices(bindings: "ModuleType") -> list[dict[str, Any]]:
    function = bindings.ggml_function
    count = function("ggml_backend_dev_count", ctypes.c_size_t)
    get = function("ggml_backend_dev_get", ctypes.c_void_p, ctypes.c_size_t)
    name = function("ggml_backend_dev_name", ctypes.c_char_p, ctypes.c_void_p)
    description = function("ggml_backend_dev_description", ctypes.c_char_p, ctypes.c_void_p)
    kind = function("ggml_backend_dev_type", ctypes.c_int, ctypes.c_void_p)
    size = ctypes.POINTER(ctypes.c_size_t)
    memory = function("ggml_backend_dev_memory", None, ctypes.c_void_p, size, size)
    found = []
    for device in [get(index) for index in range(min(count(), DEVICES_MAX))]:
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        memory(device, ctypes.byref(free), ctypes.byref(total))
        number = kind(device)
        found.append(
            {
                "name": name(device).decode(errors="replace"),
                "description": description(device).decode(errors="replace"),
                "kind": KINDS[number] if 0 <= number < len(KINDS) else "other",
                "memory_bytes": total.value,
                "free_bytes": free.value,
            }
        )
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
