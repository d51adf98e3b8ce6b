"""How work on the model's thread is broken off from another one."""

import ctypes

from node_agent.engine.bindings import native


class Aborted(Exception):
    """The work was broken off because the abort flag was set."""


class AbortFlag:
    """Breaks off a running decode, set from any thread.

    The callback is libc's ``strlen`` over a buffer that holds "" or "x": native code, because
    llama.cpp calls it for every node of a graph, and Python code would wait for the interpreter
    each time.
    """

    def __init__(self) -> None:
        self._buffer = ctypes.create_string_buffer(2)
        self.callback = ctypes.cast(ctypes.CDLL(None).strlen, native.ggml_abort_callback)
        self.data = ctypes.cast(self._buffer, ctypes.c_void_p)

    def set(self) -> None:
        self._buffer[0] = b"x"

    def clear(self) -> None:
        self._buffer[0] = b"\0"

    def is_set(self) -> bool:
        return self._buffer[0] != b"\0"
