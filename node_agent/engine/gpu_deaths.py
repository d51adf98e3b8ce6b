"""Loads again, with less on GPUs, where the engine's process died of a load.

Two programs that load at the same time see the same free memory of a GPU. The later one's load is
refused, which ``Llama`` answers with fewer layers, or its first step finds no room: CUDA's library
aborts the process then. What it died of it cannot tell, so on a machine with a GPU every death at a
load is tried again: with half as much there, and at last without.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from node_agent.engine.gpu_layers import OFF_MAX
from node_agent.engine.protocol import LoadDied

log = logging.getLogger(__name__)

Loaded = TypeVar("Loaded")


async def load_with_less_on_gpus(
    load: Callable[[float | None], Awaitable[Loaded]], gpu_off: float
) -> Loaded:
    """Return what ``load`` does with the first correction that its process survives.

    Args:
        load: takes by what to multiply what is foretold of a GPU; None for nothing there.
        gpu_off: as the last load left it.

    Raises:
        LoadFailed: the load was refused, or the process died on the processor as well.
    """
    for off in (gpu_off, OFF_MAX) if gpu_off < OFF_MAX else (OFF_MAX,):
        try:
            return await load(off)
        except LoadDied as death:
            less = "fewer of its layers" if off < OFF_MAX else "nothing of it"
            log.warning(
                "%s; it is loaded again with %s on the GPU, whose memory another program may hold",
                death.message,
                less,
            )
    return await load(None)
