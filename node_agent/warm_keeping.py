"""What engines leave behind for their next load: where it lies, and for how long."""

import asyncio
import logging
import time

from mesh.core.types import ModelId
from mesh.errors import MeshError
from mesh.home import Home
from mesh.identity.files import private_folder
from mesh.settings import NodeSettings
from node_agent.engine.warm_folder import WarmFolder, WarmPlace

TIDY_EVERY_S = 3600.0  # what is kept for a day may stay an hour longer

log = logging.getLogger("node")


def warm_folder(home: Home, settings: NodeSettings) -> WarmFolder:
    """Return the folder of saved states, in which nothing may be kept unless the owner wants it."""
    bytes_max = settings.warm_state_bytes_max if settings.keep_warm_state else 0
    return WarmFolder(home.warm_state, bytes_max)


def place_of(folder: WarmFolder, model_id: ModelId) -> WarmPlace | None:
    """Return where a model's slots are saved, None: nowhere. A model loads without it, too."""
    if not folder.bytes_max:
        return None
    try:
        private_folder(folder.path)
    except MeshError as failure:
        log.warning("no warm state is kept: %s", failure)
        return None
    return WarmPlace(folder, model_id)


async def keep_tidy(folder: WarmFolder) -> None:
    """Remove what is too old or too much, now and every hour. Ends only by cancellation."""
    while True:
        await asyncio.to_thread(folder.tidy, time.time())
        await asyncio.sleep(TIDY_EVERY_S)
