"""A background task with one owner, who starts it and ends it.

Where a ``TaskGroup`` does not fit: a failure of discovery must not cancel the body that runs
beside it, nor wrap that body's own errors into a group.
"""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

logger = logging.getLogger(__name__)


def start_task(work: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
    """Start ``work``; if it fails, the log says so at once. The caller owns the task."""
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(_tell_failure)
    return task


async def end_task(task: asyncio.Task[None]) -> None:
    """Cancel a task, wait until it has ended, and raise what it failed with, if it did."""
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        task.result()


def _tell_failure(task: asyncio.Task[None]) -> None:
    failure = None if task.cancelled() else task.exception()
    if failure is not None:
        logger.error("%s failed: %s", task.get_name(), failure, exc_info=failure)
