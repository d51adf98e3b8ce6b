"""``python -m node_agent``: what ``deskmesh node`` runs."""

import argparse
import asyncio
import os
import sys
from pathlib import Path

from mesh.home import HOME_VARIABLE, Home
from mesh.lasting import lasting
from mesh.lock import only_one
from mesh.process import run_process
from mesh.settings import load_settings


def main(arguments: list[str]) -> int:
    """Serve until a signal; return 0 done, 1 failed. Wrong usage exits with 2."""
    parser = argparse.ArgumentParser("node_agent", description="Lend this machine's models.")
    parser.add_argument(
        "--home", type=Path, help=f"folder of this machine's state, as {HOME_VARIABLE}"
    )
    # Before gRPC is loaded: its own words on broken connections mean nothing to an owner.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    chosen = parser.parse_args(arguments)
    if chosen.home is not None:
        os.environ[HOME_VARIABLE] = str(chosen.home)
    return run_process(_lend)


async def _lend(stopping: asyncio.Event) -> None:
    with lasting():
        from node_agent.agent import Agent

    home = Home.find()
    with only_one(home, "node"):
        await Agent(home, load_settings()).run(stopping)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
