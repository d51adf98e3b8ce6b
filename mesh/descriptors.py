"""How many files and connections the system lets this process have open at a time."""

import asyncio
import errno
import logging
import time
from typing import Any

from mesh.platforms.here import HERE

# A mesh of 4,096 nodes with two connections each, and room for tools. Systems let a process ask for
# more than the 1,024 (Linux) or 256 (macOS) that it has by default.
WANTED = 16_384
# What macOS grants (kern.maxfilesperproc) even where it says that there is no limit.
SMALLER = 10_240
UNLIMITED = 1 << 20  # where there is nothing like it

TOLD_EVERY_S = 60.0
EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE})

log = logging.getLogger("deskmesh")


def raise_descriptor_limit() -> int:
    """Let this process open up to ``WANTED`` files, or as many as it may; return how many."""
    granted = HERE.raise_descriptor_limit(iter((WANTED, SMALLER)))
    return UNLIMITED if granted is None else granted


class TellingOnce:
    """A loop's exception handler, for which a want of descriptors is one line a minute.

    asyncio reports each connection that it could not accept, with a traceback: thousands a second.
    """

    def __init__(self) -> None:
        self._told_s = -TOLD_EVERY_S

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        failure = context.get("exception")
        if not (isinstance(failure, OSError) and failure.errno in EXHAUSTED):
            loop.default_exception_handler(context)
            return
        now_s = time.monotonic()
        if now_s - self._told_s >= TOLD_EVERY_S:
            self._told_s = now_s
            log.error(
                "%s: new connections wait; raise the limit (ulimit -n), and see who holds so many",
                failure.strerror,
            )
