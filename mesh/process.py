"""How every long-running process of deskmesh begins and ends: loop, log, signals, exit code."""

import asyncio
import logging
import os
import sys
from collections.abc import Awaitable, Callable
from importlib.util import find_spec

from mesh.descriptors import TellingOnce, raise_descriptor_limit
from mesh.errors import MeshError
from mesh.lasting import leave_the_rest
from mesh.platforms.here import HERE

# Set for a child of ours: it stops when its stdin ends, which is when its parent is gone.
SUPERVISED = "DESKMESH_SUPERVISED"

DONE, FAILED, WRONG_USAGE = 0, 1, 2  # exit codes of every command

log = logging.getLogger("deskmesh")


def run_process(main: Callable[[asyncio.Event], Awaitable[None]]) -> int:
    """Run ``main`` as a service with a log, and return the exit code; a ``MeshError`` is a line.

    ``main`` gets the event that ``until_stopped`` speaks of.
    """
    configure_logging()
    raise_descriptor_limit()
    code = DONE
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.get_loop().set_exception_handler(TellingOnce())
            runner.run(until_stopped(main))
    except* MeshError as failures:
        code = FAILED
        for failure in _leaves(failures):
            log.error("%s", failure)
    except* (asyncio.CancelledError, KeyboardInterrupt):
        code = FAILED
    leave_the_rest()
    return code


async def until_stopped(main: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    """Await ``main`` with an event that SIGINT, SIGTERM or, supervised, our parent's end sets.

    A second signal cancels ``main`` at once.
    """
    supervised = SUPERVISED in os.environ
    stopping = asyncio.Event()
    task = asyncio.ensure_future(main(stopping))

    def stop() -> None:
        if not supervised:  # else our parent says it, once for all of its children
            log.info("stopping; once more to stop at once" if not stopping.is_set() else "stopped")
        if stopping.is_set():
            task.cancel()
        stopping.set()

    HERE.hear_stop(stop)
    if supervised:
        await HERE.hear_end_of_input(stop)
    await task


def configure_logging(level: int = logging.INFO) -> None:
    """One readable line an event, on stderr. Never a prompt, an answer or a secret."""
    logging.basicConfig(
        level=level,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)-7s %(name)s: %(message)s",
        datefmt="%H:%M:%S",
        force=True,
    )


def _leaves(failure: BaseException) -> list[BaseException]:
    if not isinstance(failure, BaseExceptionGroup):
        return [failure]
    return [leaf for part in failure.exceptions for leaf in _leaves(part)]


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where the extra `speed` is installed: it nearly halves the cost of a relay."""
    if find_spec("uvloop") is None:
        return None
    import uvloop

    new_loop: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return new_loop
