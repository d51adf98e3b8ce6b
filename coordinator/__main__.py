"""``python -m coordinator``: what `deskmesh coordinator` runs."""

import asyncio
import sys

from coordinator.coordinator import Coordinator
from mesh.home import Home
from mesh.process import run_process
from mesh.settings import load_settings


async def coordinate(stopping: asyncio.Event) -> None:
    """Serve until ``stopping`` is set."""
    coordinator = Coordinator(Home.find(), load_settings())
    async with coordinator.running():
        await stopping.wait()


if __name__ == "__main__":
    sys.exit(run_process(coordinate))
