"""A machine of its own for tests: advertises itself, and prints a line of JSON per event.

``python -m tests.mesh.discovery.peer ID ROLE``; ends, with a goodbye, when its stdin does.
"""

import asyncio
import json
import sys

from mesh.discovery.advert import Advert, Role
from mesh.discovery.advertiser import Advertiser
from mesh.discovery.browser import Browser
from mesh.discovery.responder import Responder


def advert_of(machine_id: str, role: Role) -> Advert:
    ports = (7443, 7444) if role is Role.COORDINATOR else (0, 0)
    return Advert(machine_id, "mtest", "0.1.0", role, f"Machine {machine_id}", *ports)


async def main(machine_id: str, role: Role) -> None:
    async with (
        Responder(look_every_s=0.2, ask_gap_s=0.0) as responder,
        Advertiser(responder, advert_of(machine_id, role), gap_s=0.2),
        Browser(responder) as browser,
    ):
        tell("Started", trouble=str(responder.trouble or ""))
        telling = asyncio.create_task(tell_events(browser))
        await asyncio.to_thread(sys.stdin.read)
        telling.cancel()
        await asyncio.wait([telling])


async def tell_events(browser: Browser) -> None:
    async for event in browser.events():
        sighting = event.sighting
        tell(type(event).__name__, label=sighting.advert.label, addresses=list(sighting.addresses))


def tell(kind: str, **facts: object) -> None:
    sys.stdout.write(json.dumps({"kind": kind, **facts}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Role(sys.argv[2])))
