"""Ends a process of a benchmark's with the benchmark, however that one ends.

``python -m bench.tether MODULE [ARGUMENT ...]`` runs somebody else's module so.
"""

import os
import runpy
import sys
import threading


def end_with_parent() -> None:
    """End this process, from now on, at the end of its stdin: a pipe that the parent holds."""
    threading.Thread(target=_wait_for_end, name="tether", daemon=True).start()


def _wait_for_end() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)


if __name__ == "__main__":
    end_with_parent()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
