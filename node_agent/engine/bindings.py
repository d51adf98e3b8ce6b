"""The low-level bindings of llama-cpp-python, and nothing else of it. Only the engine process
imports them.

The package's own ``__init__`` pulls in its high-level classes, numpy and its chat formats: 15 MB
and 170 ms for each warm model (measured with 0.3.36), none of which we use. So the package is set
up without running it.
"""

import ctypes
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from types import ModuleType
from typing import Any, cast


def _bindings() -> tuple[ModuleType, ctypes.CDLL, str]:
    """Return the module of llama.cpp's functions, the library of ggml's, and their version."""
    spec = find_spec("llama_cpp")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("llama-cpp-python is not installed", name="llama_cpp")
    hollow = "llama_cpp" not in sys.modules
    if hollow:
        sys.modules["llama_cpp"] = module_from_spec(spec)
    try:
        import llama_cpp.llama_cpp as bindings
        from llama_cpp._ggml import libggml
    finally:
        if hollow:  # whoever imports the package after us gets it whole
            del sys.modules["llama_cpp"]
    # Read, because importlib.metadata would be another 10 ms.
    version = re.search(r'__version__ = "(.+)"', Path(spec.origin).read_text())
    return bindings, libggml, version[1] if version else ""


# Any: ctypes functions, whose published annotations don't say what they accept.
native: Any
native, _ggml, PACKAGE_VERSION = _bindings()


_GPU, _INTEGRATED_GPU = 1, 2  # GGML_BACKEND_DEVICE_TYPE_GPU and _IGPU


@dataclass(frozen=True, slots=True)
class Device:
    """Something that this build of ggml computes on, such as "CPU" or "Metal"."""

    name: str
    gpu: bool


def devices() -> tuple[Device, ...]:
    """Return the devices that are there. Call it after ``llama_backend_init``."""
    count = ggml_function("ggml_backend_dev_count", ctypes.c_size_t)
    get = ggml_function("ggml_backend_dev_get", ctypes.c_void_p, ctypes.c_size_t)
    name = ggml_function("ggml_backend_dev_name", ctypes.c_char_p, ctypes.c_void_p)
    kind = ggml_function("ggml_backend_dev_type", ctypes.c_int, ctypes.c_void_p)
    found = [get(index) for index in range(count())]
    gpus = (_GPU, _INTEGRATED_GPU)
    return tuple(Device(name(one).decode(), kind(one) in gpus) for one in found)


_F32 = 0  # GGML_TYPE_F32


def are_finite(floats: Any, count: int) -> bool:
    """Whether ``count`` 32-bit floats from this pointer on hold neither NaN nor an infinity."""
    return bool(_validate(_F32, floats, count * ctypes.sizeof(ctypes.c_float)))


def free_gpu_bytes() -> tuple[int, ...]:
    """Return what is free on each GPU that llama.cpp would use: integrated ones if that is all."""
    count = ggml_function("ggml_backend_dev_count", ctypes.c_size_t)
    get = ggml_function("ggml_backend_dev_get", ctypes.c_void_p, ctypes.c_size_t)
    kind = ggml_function("ggml_backend_dev_type", ctypes.c_int, ctypes.c_void_p)
    size = ctypes.POINTER(ctypes.c_size_t)
    memory = ggml_function("ggml_backend_dev_memory", None, ctypes.c_void_p, size, size)
    found = [get(index) for index in range(count())]
    gpus = [one for one in found if kind(one) == _GPU]
    free_bytes = []
    for gpu in gpus or [one for one in found if kind(one) == _INTEGRATED_GPU]:
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        memory(gpu, ctypes.byref(free), ctypes.byref(total))
        free_bytes.append(free.value)
    return tuple(free_bytes)


def ggml_function(name: str, returns: type | None, *takes: type) -> Callable[..., Any]:
    """Return a function of ggml's library, which the bindings have no names for."""
    function = getattr(_ggml, name)
    function.restype, function.argtypes = returns, takes
    return cast(Callable[..., Any], function)


_validate = ggml_function(
    "ggml_validate_row_data", ctypes.c_bool, ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t
)
