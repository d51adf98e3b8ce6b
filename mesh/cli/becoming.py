"""How a command becomes a process of the mesh: that one takes this one's place."""

import os
import sys
from collections.abc import Mapping, Sequence

from mesh.platforms.here import HERE

# command -> the package that it runs
SERVICES = {"coordinator": "coordinator", "node": "node_agent"}


def become(package: str, environment: Mapping[str, str]) -> None:
    """Replace this process by ``python -m package``: signals and exit code are then its own."""
    command = [sys.executable, "-m", package]
    try:
        HERE.become(command, os.environ | environment)
    except OSError as failure:
        why = (failure.strerror or type(failure).__name__).lower()
        hint = "let this user run it, or install deskmesh anew"
        sys.stderr.write(f"error: cannot start {sys.executable}: {why}; {hint}\n")
        sys.exit(1)


def become_at_once(words: Sequence[str]) -> None:
    """Become the service that the command line names without any option; else return.

    There is nothing to read then, and what reads command lines takes 0.3 s to import.
    """
    if len(words) == 1 and words[0] in SERVICES:
        become(SERVICES[words[0]], {})
