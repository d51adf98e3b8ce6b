"""The GPUs of this machine, and whether its engine computes on them."""

import asyncio

from mesh.core.types import Accelerator
from mesh.gpus.look import gpus_here
from mesh.gpus.unused import BACKENDS, unused_gpus
from mesh.installed_engine import installed_engine


async def accelerators_here() -> tuple[Accelerator, ...]:
    """Return them, the best first, as they are told to coordinators.

    Without a GPU it takes milliseconds. Beside one the engine is asked, in a process of its own:
    a fifth of a second, or seconds with CUDA.
    """
    return await asyncio.to_thread(_look)


def _look() -> tuple[Accelerator, ...]:
    gpus = gpus_here()
    idle = unused_gpus(gpus, engine_sees=0)
    if idle is not None:
        engine = installed_engine()
        idle = None if engine.error else unused_gpus(gpus, engine_sees=len(engine.gpus))
    return tuple(
        Accelerator(
            name=gpu.name,
            kind=BACKENDS[gpu.vendor],
            memory_bytes=gpu.memory_bytes or 0,
            idle=idle is not None and gpu in idle.gpus,
        )
        for gpu in gpus
    )
