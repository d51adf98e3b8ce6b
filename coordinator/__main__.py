"""``python -m coordinator``: what `deskmesh coordinator` runs."""

import asyncio
import sys

from mesh.home import Home
from mesh.lasting import lasting
from mesh.lock import only_one
from mesh.process import run_process
from mesh.settings import load_settings


async def coordinate(stopping: asyncio.Event) -> None:
    """Serve until ``stopping`` is set."""
    with lasting():
        from coordinator.coordinator import Coordinator

    home = Home.find()
    with only_one(home, "coordinator"):
        async with Coordinator(home, load_settings()).running():
            await stopping.wait()


if __name__ == "__main__":
    sys.exit(run_process(coordinate))
