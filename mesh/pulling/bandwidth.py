"""How fast this machine reads its memory: a look of a tenth of a second, with all cores."""

import time
from dataclasses import replace
from threading import Thread

import psutil

from mesh.gpus.look import gpus_here
from mesh.installed_engine import installed_engine
from mesh.pulling.fitting import Machine

READ_BYTES = 128 << 20  # of all threads together: four times a desk machine's last cache
THREADS_MAX = 8  # these saturate the memory of any machine that stands on a desk
ROUNDS = 6  # of 10 ms; the best counts: whatever else runs only slows one down


def with_speed(machine: Machine) -> Machine:
    """Return ``machine`` with how fast it reads, if its processor is what would compute.

    An engine that uses a GPU has that GPU's memory, of which nothing is known here.
    """
    if any(gpu.ready for gpu in gpus_here()) and installed_engine().gpus:
        return machine
    return replace(machine, read_bytes_per_s=read_bytes_per_s())


def read_bytes_per_s() -> float | None:
    """Measure it; None where there is no memory left to do so."""
    import numpy as np  # 0.1 s, for these commands alone

    threads = min(psutil.cpu_count(logical=False) or 1, THREADS_MAX)
    try:
        blocks = [np.ones(READ_BYTES // threads // 8, dtype=np.int64) for _ in range(threads)]
    except MemoryError:
        return None
    best_s = min(
        _round_s([Thread(target=np.add.reduce, args=(block,)) for block in blocks])
        for _ in range(ROUNDS)
    )
    return sum(block.nbytes for block in blocks) / best_s


def _round_s(threads: list[Thread]) -> float:
    """Run them at once; numpy lets go of the interpreter's lock while it adds."""
    began_s = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - began_s
