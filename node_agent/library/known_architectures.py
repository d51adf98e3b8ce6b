"""Whether llama.cpp, as it is installed here, knows a model's architecture.

It has no function that tells. But its table of architectures (src/llama-arch.cpp) is names in its
library, each with a zero behind it, so a name that is nowhere in the library is not in the table. A
name that is there may still be something else: then the load fails and says so. All 126 names of
gguf 0.19 are found in the library of llama-cpp-python 0.3.36, in 1 ms each; Ollama's own
``qwen25vl``, ``gptoss`` and ``mllama`` are not, in 3 ms each (measured).

Nothing of the library is run: to load a model tells more, and takes what only an engine may take.
"""

import mmap
import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

# Where llama-cpp-python looks (llama_cpp/_ctypes_extensions.py), whatever the platform.
_LIBRARIES = ("libllama.so", "libllama.dylib", "llama.dll", "libllama.dll")
FOLDER_VARIABLE = "LLAMA_CPP_LIB_PATH"  # llama-cpp-python's: in place of its own folder


def is_known(architecture: str) -> bool:
    """Return False if llama.cpp cannot load a model of that architecture; True if it may.

    True as well where no llama.cpp is installed: what it could not load is not the question then.
    """
    name = architecture.encode(errors="backslashreplace") + b"\0"
    for path in _libraries():
        try:
            with (
                path.open("rb") as file,
                mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
            ):
                return content.find(name) >= 0
        except (OSError, ValueError):  # it is not that one, or it is empty
            continue
    return True


def _libraries() -> Iterator[Path]:
    folder = Path(os.environ.get(FOLDER_VARIABLE, ""))
    if FOLDER_VARIABLE not in os.environ:
        spec = find_spec("llama_cpp")
        if spec is None or spec.origin is None:
            return
        folder = Path(spec.origin).parent / "lib"
    for name in _LIBRARIES:
        yield folder / name
