"""The GPUs of this machine, and whether its engine computes on them."""

import asyncio
from dataclasses import dataclass

from mesh.core.types import Accelerator
from mesh.gpus.look import gpus_here
from mesh.gpus.unused import BACKENDS, unused_gpus
from mesh.installed_engine import installed_engine


@dataclass(frozen=True, slots=True)
class GpusHere:
    """What one look found."""

    accelerators: tuple[Accelerator, ...] = ()  # the best first, as they are told to coordinators
    free_bytes: tuple[int, ...] = ()  # of each one that the engine gives layers to


async def gpus_of_this_machine() -> GpusHere:
    """Look at them.

    Without a GPU it takes milliseconds. Beside one the engine is asked, in a process of its own:
    a fifth of a second, or seconds with CUDA.
    """
    return await asyncio.to_thread(_look)


def _look() -> GpusHere:
    gpus = gpus_here()
    idle = unused_gpus(gpus, engine_sees=0)
    free_bytes: tuple[int, ...] = ()
    if idle is not None:
        engine = installed_engine()
        idle = None if engine.error else unused_gpus(gpus, engine_sees=len(engine.gpus))
        free_bytes = tuple(device.free_bytes for device in engine.given_layers)
    accelerators = tuple(
        Accelerator(
            name=gpu.name,
            kind=BACKENDS[gpu.vendor],
            memory_bytes=gpu.memory_bytes or 0,
            idle=idle is not None and gpu in idle.gpus,
        )
        for gpu in gpus
    )
    return GpusHere(accelerators, free_bytes)
