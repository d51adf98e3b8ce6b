"""Tells the network what this process is: registers the service, keeps its record true.

Starting waits for nothing. RFC 6762 section 8.1 has a responder probe for three quarters of a
second whether its names are free; ours carry the fingerprint of a key and are nobody else's, so
the probes are skipped, as Apple's ``kDNSServiceFlagsKnownUnique`` and the library's
``cooperating_responders`` allow. The first announcement leaves with the next turn of the loop.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from zeroconf import Zeroconf
from zeroconf.asyncio import AsyncServiceInfo

from mesh.discovery.advert import Advert, encode
from mesh.discovery.owned_task import end_task, start_task
from mesh.discovery.pacing import GAP_S, Pacer
from mesh.discovery.records import NODE_PORT, service_info
from mesh.discovery.responder import Responder
from mesh.settings import Advertise

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Content:
    """All that others can see of us; while it is the same, nothing is sent."""

    properties: tuple[tuple[bytes, bytes], ...]
    port: int
    addresses: tuple[str, ...]


class Advertiser:
    """Advertises one service while its context is open, and says goodbye at the end.

    Leaving takes a quarter of a second: the goodbye is sent three times. Does nothing where the
    responder has no multicast, or the mode is ``OFF``. ``gap_s`` is for tests.
    """

    def __init__(
        self,
        responder: Responder,
        advert: Advert,
        mode: Advertise = Advertise.FULL,
        *,
        gap_s: float = GAP_S,
    ) -> None:
        self._responder = responder
        self._advert = advert
        self._mode = mode
        self._gap_s = gap_s
        self._changed = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._registered: AsyncServiceInfo | None = None
        self._stop_following: Callable[[], None] | None = None

    def update(self, advert: Advert) -> None:
        """Advertise ``advert`` from now on, as soon as the pace allows; the newest one wins.

        Raises:
            ValueError: it is another service's: machine id or role differ.
        """
        if advert.label != self._advert.label:
            raise ValueError(f"{advert.label} is not {self._advert.label}")
        self._advert = advert
        self._changed.set()

    async def __aenter__(self) -> Self:
        zeroconf = self._responder.zeroconf
        if zeroconf is not None and self._mode is not Advertise.OFF:
            self._stop_following = self._responder.on_move(self._move)
            self._running = start_task(self._run(zeroconf), name="mdns advertiser")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._stop_following is not None:
            self._stop_following()
        try:
            if self._running is not None:
                await end_task(self._running)
        finally:
            zeroconf = self._responder.zeroconf
            if zeroconf is not None and self._registered is not None:
                await (await zeroconf.async_unregister_service(self._registered))

    def _move(self) -> None:
        """Answer from now on with the addresses of the network that the machine came to.

        At once and before the sockets follow, so that the new network never hears the old ones.
        """
        zeroconf = self._responder.zeroconf
        registered = self._registered
        if zeroconf is None or registered is None:
            return
        if zeroconf.registry.async_get_info_name(registered.key) is not None:
            self._registered = self._info(self._content())
            zeroconf.registry.async_update(self._registered)
        self._changed.set()

    async def _run(self, zeroconf: Zeroconf) -> None:
        """Register, then send what changes, at its pace."""
        loop = asyncio.get_running_loop()
        content = self._content()
        self._registered = self._info(content)
        pacer = Pacer(content, now_s=loop.time(), gap_s=self._gap_s)
        await (await zeroconf.async_register_service(self._registered, cooperating_responders=True))
        logger.debug("advertised as %s", self._registered.name)
        while True:
            await self._wait(pacer.wait_s(loop.time()))
            pacer.offer(self._content())
            due = pacer.take(loop.time())
            if due is not None:
                self._registered = self._info(due)
                await (await zeroconf.async_update_service(self._registered))

    async def _wait(self, wait_s: float | None) -> None:
        """Return when something changed, or ``wait_s`` passed."""
        try:
            async with asyncio.timeout(wait_s):
                await self._changed.wait()
        except TimeoutError:
            return
        self._changed.clear()

    def _content(self) -> _Content:
        return _Content(
            properties=tuple(encode(self._advert, self._mode).items()),
            port=self._advert.mesh_port or NODE_PORT,
            addresses=self._responder.addresses,
        )

    def _info(self, content: _Content) -> AsyncServiceInfo:
        return service_info(
            self._advert.label,
            dict(content.properties),
            port=content.port,
            addresses=content.addresses,
        )
