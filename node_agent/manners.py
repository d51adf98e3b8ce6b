"""Looks at what this machine's owner does, and lends accordingly."""

import asyncio
import logging
from typing import Protocol

import psutil

from mesh.settings import NodeSettings
from node_agent.lending import Lender, Lending, Signs
from node_agent.owner_signs import OwnerSigns
from node_agent.shelf import Shelf

LOOK_EVERY_S = 1.0  # as often as nodes report
UNREADABLE = (OSError, RuntimeError, ValueError, psutil.Error)  # what psutil raises on odd machines

log = logging.getLogger("node")


class Looker(Protocol):
    """What tells of the owner: ``OwnerSigns``."""

    async def look(self, own_processes: list[int], now_s: float) -> Signs: ...


async def mind_owner(shelf: Shelf, settings: NodeSettings, signs: Looker | None = None) -> None:
    """Keep the shelf's lending to what ``settings`` allow, until cancelled."""
    clock = asyncio.get_running_loop().time
    lender = Lender(settings.generosity, settings.on_battery)
    looker = signs or _owner_signs()
    while looker is not None:
        now_s = clock()
        try:
            seen = await looker.look(shelf.working_processes(), now_s)
        except UNREADABLE as failure:  # a sensor of a machine that we do not know
            log.debug("a look at the owner failed: %s", type(failure).__name__)
            seen = Signs()
        shelf.signs = seen
        lending = lender.saw(seen, now_s)
        if lending != shelf.lending:
            _tell(shelf.lending, lending)
            shelf.lend(lending)
        await asyncio.sleep(LOOK_EVERY_S)


def _owner_signs() -> OwnerSigns | None:
    try:
        return OwnerSigns()
    except UNREADABLE as failure:  # a sandbox that shows nothing: then everything is lent
        log.warning("this machine does not tell how busy it is: %s", type(failure).__name__)
        return None


def _tell(before: Lending, now: Lending) -> None:
    if now.busy != before.busy:
        if now.busy:
            log.info("lending nothing new: %s", now.busy)
        else:
            log.info("lending again")
    if now.share != before.share:
        log.info("lending %.0f %% of each model's slots", 100 * now.share)
