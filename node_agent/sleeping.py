"""Tells the mesh before this machine goes to sleep, and is back as soon as it wakes."""

import logging

from mesh.platforms.here import HERE
from mesh.platforms.platform import Platform
from node_agent.links import Links

log = logging.getLogger("node")


async def mind_sleep(links: Links, platform: Platform = HERE) -> None:
    """Do so until cancelled; where the system announces no sleep, silence tells of it."""

    async def sleeps() -> None:
        log.info("this machine goes to sleep: the mesh is told")
        await links.sleep()

    def wakes() -> None:
        log.info("this machine is awake")
        links.wake()

    unheard = await platform.hear_sleep(sleeps, wakes)
    log.debug("sleep is not announced here: %s", unheard)
