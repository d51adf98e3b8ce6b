"""Ends a block of Python that runs too long, where there are no timers by signal."""

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from mesh.platforms.platform import OutOfTime


@contextmanager
def interrupted_after(limit_s: float) -> Iterator[None]:
    """Raise OutOfTime in the block once it has run for ``limit_s``.

    Works for any thread, between two steps of its Python code: native code is not interrupted.
    """
    interrupt = ctypes.pythonapi.PyThreadState_SetAsyncExc
    thread = ctypes.c_ulong(threading.get_ident())
    deciding, ended = threading.Lock(), False

    def end() -> None:
        with deciding:
            if not ended:
                interrupt(thread, ctypes.py_object(OutOfTime))

    timer = threading.Timer(limit_s, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        with deciding:
            ended = True
            interrupt(thread, None)  # one that was sent and has not come must not come later
