"""Hears who is around, and yields what changed.

Its questions are few: python-zeroconf asks four times in the first 15 s and then only when a
record is about to run out, never more often than every 10 s; no machine is ever asked singly,
because ours answer with all of their records at once. A goodbye makes it ask once whether anyone
would contradict it.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator
from types import TracebackType
from typing import Self

from zeroconf import DNSQuestionType, Zeroconf
from zeroconf.asyncio import AsyncServiceBrowser

from mesh.discovery.question import SERVICE_TYPE
from mesh.discovery.records import RecordListener, listen, read
from mesh.discovery.responder import Responder
from mesh.discovery.sighting import MachineEvent, Sighting
from mesh.discovery.table import MACHINES_MAX, SightingTable

# An event waits here until it is read, one a machine. Twice the table's size, because machines
# that were crowded out of the table have events too; the oldest is dropped beyond that.
_EVENTS_MAX = 2 * MACHINES_MAX

logger = logging.getLogger(__name__)


class Browser:
    """Who is around, by mDNS: a hint, never a fact.

    Anyone on the network can forge, move or withdraw what is heard here. So a sighting may add an
    address to dial or a machine that waits for approval. It must never remove, rename or
    re-address an enrolled machine, and whoever dials an endpoint proves the peer by its
    certificate. Sees this process's own adverts too; tell them by their machine id.

    Silent, and its iterator never ends, where the responder has no multicast.
    """

    def __init__(self, responder: Responder) -> None:
        self._responder = responder
        self._table = SightingTable()
        self._events: dict[str, MachineEvent] = {}  # by label: the newest word on each machine
        self._changed = asyncio.Event()
        self._zeroconf: Zeroconf | None = None
        self._asking: AsyncServiceBrowser | None = None
        self._listener = RecordListener(self._hear, self._miss)

    def sightings(self) -> tuple[Sighting, ...]:
        """Return every machine remembered, gone ones too, the latest heard last."""
        return self._table.sightings()

    async def events(self) -> AsyncGenerator[MachineEvent, None]:
        """Yield what changed since the last read, and then what changes. For one reader.

        A machine that changes several times between two reads is yielded once, as it is.
        """
        while True:
            await self._changed.wait()
            while self._events:
                yield self._events.pop(next(iter(self._events)))
            self._changed.clear()

    async def __aenter__(self) -> Self:
        self._zeroconf = self._responder.zeroconf
        if self._zeroconf is not None:
            listen(self._zeroconf, self._listener)
            # Only for its schedule of questions: its events miss changes that our listener sees,
            # such as a record that went back to an earlier value. QM, for answers by multicast:
            # by unicast they may reach another program that shares port 5353.
            self._asking = AsyncServiceBrowser(
                self._zeroconf,
                SERVICE_TYPE,
                handlers=[_ignore],
                question_type=DNSQuestionType.QM,
            )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._asking is not None and self._zeroconf is not None:
            self._zeroconf.async_remove_listener(self._listener)
            await self._asking.async_cancel()

    def _hear(self, label: str) -> None:
        assert self._zeroconf is not None
        try:
            heard = read(self._zeroconf, label)
        except ValueError as reason:
            logger.debug("ignored what %s advertises: %s", label, reason)
            return
        if heard is None:
            return
        advert, hosts = heard
        now_s = asyncio.get_running_loop().time()
        self._tell(self._table.hear(advert, hosts, seen_at_s=now_s))

    def _miss(self, label: str) -> None:
        events = self._table.bye(label)
        self._tell(events)
        if events:
            self._responder.ask()

    def _tell(self, events: tuple[MachineEvent, ...]) -> None:
        for event in events:
            self._events.pop(event.sighting.advert.label, None)  # the newest goes to the end
            self._events[event.sighting.advert.label] = event
            self._changed.set()
        while len(self._events) > _EVENTS_MAX:
            del self._events[next(iter(self._events))]


def _ignore(**_change: object) -> None:
    """The library insists on a handler."""
