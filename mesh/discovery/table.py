"""Who was heard, and where: a bounded table that one forged packet cannot ruin. Pure.

On a network where anyone may speak, the newest word is not the truest. So a machine's earlier
endpoints stay candidates after it seems to have moved or left, and when there are too many, those
known longest stay: a forger can add to them but never push the real one out.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from mesh.discovery.advert import Advert
from mesh.discovery.sighting import Endpoint, MachineEvent, MachineGone, MachineSeen, Sighting

# Five times the 100 machines which one network is promised to carry; at about 2 KB each a flood
# of forged machines costs 1 MB and no more.
MACHINES_MAX = 512
ENDPOINTS_NOW_MAX = 4  # wired and wireless, IPv4 and IPv6
ENDPOINTS_EARLIER_MAX = 4  # the same again, from before
ENDPOINT_KEPT_S = 3600.0  # an address not heard for an hour has most likely gone to another machine


class SightingTable:
    """What the network said of each machine, by its instance name."""

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}  # in order of last heard, the oldest first

    def hear(
        self, advert: Advert, hosts: Iterable[str], *, seen_at_s: float
    ) -> tuple[MachineEvent, ...]:
        """Take in an advert that was heard from ``hosts``; return what changed by it.

        Adverts without a host change nothing: nothing could be done with them.
        """
        endpoints = tuple(
            Endpoint(host, advert.mesh_port, advert.join_port)
            for host in sorted(set(hosts), key=_ipv4_first)[:ENDPOINTS_NOW_MAX]
        )
        if not endpoints:
            return ()
        events: list[MachineEvent] = []
        entry = self._entries.pop(advert.label, None)
        if entry is None:
            if len(self._entries) >= MACHINES_MAX:
                events.append(self._drop_one())
            entry = _Entry(advert)
        changed = entry.hear(advert, endpoints, seen_at_s)
        self._entries[advert.label] = entry
        if changed:
            events.append(MachineSeen(entry.sighting()))
        return tuple(events)

    def bye(self, label: str) -> tuple[MachineEvent, ...]:
        """Mark a machine as gone; its endpoints stay known."""
        entry = self._entries.get(label)
        if entry is None or entry.gone:
            return ()
        entry.gone = True
        return (MachineGone(entry.sighting()),)

    def hosts(self, label: str) -> tuple[str, ...]:
        """Return the hosts of the machine's latest advert, none if it is unknown."""
        entry = self._entries.get(label)
        return () if entry is None else tuple(endpoint.host for endpoint in entry.now)

    def sightings(self) -> tuple[Sighting, ...]:
        """Return every machine that is remembered, gone ones too, the latest heard last."""
        return tuple(entry.sighting() for entry in self._entries.values())

    def _drop_one(self) -> MachineEvent:
        """Make room: drop one that is gone, else the one that was not heard for longest."""
        label = next(
            (label for label, entry in self._entries.items() if entry.gone),
            next(iter(self._entries)),
        )
        entry = self._entries.pop(label)
        entry.gone = True
        return MachineGone(entry.sighting())

    def __repr__(self) -> str:
        gone = sum(entry.gone for entry in self._entries.values())
        return f"SightingTable({len(self._entries) - gone} here, {gone} gone)"


@dataclass(slots=True)
class _Entry:
    """One machine: its latest advert, and since when each of its endpoints is known."""

    advert: Advert
    now: tuple[Endpoint, ...] = ()
    known: dict[Endpoint, tuple[float, float]] = field(default_factory=dict)  # first, last heard
    seen_at_s: float = 0.0
    gone: bool = False

    def hear(self, advert: Advert, endpoints: tuple[Endpoint, ...], seen_at_s: float) -> bool:
        """Return whether this differs from what was known."""
        changed = self.gone or self.advert != advert or self.now != endpoints
        self.advert, self.now, self.seen_at_s, self.gone = advert, endpoints, seen_at_s, False
        for endpoint in endpoints:
            first_s, _ = self.known.get(endpoint, (seen_at_s, seen_at_s))
            self.known[endpoint] = (first_s, seen_at_s)
        self._forget(seen_at_s)
        return changed

    def _forget(self, now_s: float) -> None:
        """Keep the present endpoints, and of the earlier ones those known longest."""
        earlier = [
            (first_s, endpoint)
            for endpoint, (first_s, last_s) in self.known.items()
            if endpoint not in self.now and now_s - last_s <= ENDPOINT_KEPT_S
        ]
        kept = {endpoint for _, endpoint in sorted(earlier)[:ENDPOINTS_EARLIER_MAX]}
        self.known = {
            endpoint: times
            for endpoint, times in self.known.items()
            if endpoint in kept or endpoint in self.now
        }

    def sighting(self) -> Sighting:
        earlier = sorted(
            (endpoint for endpoint in self.known if endpoint not in self.now),
            key=lambda endpoint: -self.known[endpoint][1],
        )
        return Sighting(self.advert, (*self.now, *earlier), self.seen_at_s, self.gone)


def _ipv4_first(host: str) -> tuple[bool, str]:
    """The order on the wire means nothing, so take one that is always the same."""
    return ":" in host, host
