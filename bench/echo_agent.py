"""``python -m bench.echo_agent``: a real node agent whose engine child is an echo engine.

``DESKMESH_BENCH_TOKENS_PER_S`` paces its answers; 0, the default, does not.
"""

import asyncio
import os
import sys

from mesh.home import Home
from mesh.process import run_process
from mesh.settings import load_settings
from node_agent.agent import Agent
from node_agent.engine.echo import EchoEngine
from node_agent.engine.protocol import Engine
from node_agent.library.view import LibraryEntry

PACE_VARIABLE = "DESKMESH_BENCH_TOKENS_PER_S"
SLOTS = 1024  # more than any benchmark opens at a time


def echo_engine() -> EchoEngine:
    """Return the engine under every measurement of the relay, in the agent or beside it."""
    return EchoEngine(slots=SLOTS, tokens_per_s=float(os.environ.get(PACE_VARIABLE, "0")))


async def _load(_entry: LibraryEntry, _slots: int, _context_tokens: int, _told: object) -> Engine:
    return echo_engine()


async def _lend(stopping: asyncio.Event) -> None:
    await Agent(Home.find(), load_settings(), load_engine=_load).run(stopping)


if __name__ == "__main__":
    sys.exit(run_process(_lend))
