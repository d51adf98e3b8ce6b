"""What llama.cpp says while it loads and runs: kept, not printed.

It prints a page for each load, and its lines may hold paths. Only errors are kept, as the only
explanation there is of a load that failed.
"""

import re
from collections import deque

from node_agent.engine.bindings import native

_ERROR_LEVEL = 4  # GGML_LOG_LEVEL_ERROR since llama.cpp's log levels were put in order
_CONTINUED_LEVEL = 5
_LINES_MAX = 16  # a failed load writes three or four; the first names the cause

_SPEAKER = re.compile(r"^(?:\w+: )+(?:error loading model: )?(?:\w+: )*")
_PATH = re.compile(r"(?:/[^/\s']+)+/([^/\s']+)")


_heard_by: list["NativeLog"] = []


class NativeLog:
    """Catches llama.cpp's log for as long as the process lives."""

    def __init__(self) -> None:
        self._errors: deque[str] = deque(maxlen=_LINES_MAX)
        self._level = 0
        self._callback = native.llama_log_callback(self._hear)
        native.llama_log_set(self._callback, None)
        _heard_by.append(self)  # llama.cpp calls it for as long as no other one takes its place
        del _heard_by[:-1]

    def forget(self) -> None:
        """Drop what was said so far."""
        self._errors.clear()

    def cause(self) -> str:
        """Return the first error since ``forget``, in one line without paths; "" without any."""
        for line in self._errors:
            if words := _PATH.sub(r"\1", _SPEAKER.sub("", line)).strip():
                return words
        return ""

    def _hear(self, level: int, text: bytes | None, _: object) -> None:
        if level != _CONTINUED_LEVEL:
            self._level = level
        if self._level == _ERROR_LEVEL and text and len(self._errors) < _LINES_MAX:
            self._errors.append(text.decode(errors="replace").strip())
