"""Where coordinators may be, and which address to dial when. Pure: the caller passes the time.

Rules:

1. An address is a hint; only a welcome, over TLS, proves which coordinator is there.
2. One attach per coordinator, because a second one ends the first: addresses that lead to one we
   are attached to are left alone, and of several that lead to one we have lost, the next is dialled
   only after a moment ("happy eyeballs", RFC 8305).
3. What mDNS says adds addresses and never removes, moves or renames one. It is bounded, and its
   claims are tried slowly while we are attached, since a forged one may lead to a coordinator we
   have, and the slower the longer they lead to nobody. They are forgotten only to make room for
   others, since mDNS names each once.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from random import Random

from mesh.core.types import NodeId
from node_agent.backoff import DOUBTFUL, REFUSED, UNREACHABLE

ADDRESSES_MAX = 64  # a mesh has a few coordinators with a few addresses each; the rest is noise
STAGGER_S = 0.25  # RFC 8305 section 5: a reachable host has answered by then
TRUSTED_EXTRA = 32  # for those that settings or a coordinator name, whatever mDNS has filled
DOUBTFUL_TRIES_MIN = 5  # in vain, 3 s in all, before an address may make room for another
SEEN_GAP_S = 10.0  # between dials of such addresses while we are attached to somebody

NOBODY = NodeId("")


class Origin(IntEnum):
    """Who named an address, most trusted first."""

    JOINED = 1  # kept since this machine joined, or told by a coordinator
    SEED = 2  # in the settings
    SEEN = 3  # by mDNS: anybody can say anything


@dataclass(slots=True, eq=False)
class Address:
    """One host and port. Mutable; only the book changes it."""

    target: str  # host:port
    origin: Origin
    coordinator_id: NodeId = NOBODY  # as it proved, else as mDNS claims
    proven: bool = False
    in_use: bool = False  # being dialled, or attached
    dialled_s: float = float("-inf")
    retry_at_s: float = float("-inf")
    failures: int = 0  # in a row
    trouble: str = ""  # why the last dial failed, as the owner was told

    @property
    def doubtful(self) -> bool:
        return self.origin is Origin.SEEN and not self.proven


class AddressBook:
    """Every address that is known."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._addresses: dict[str, Address] = {}
        self._doubtful_dial_s = float("-inf")

    def __len__(self) -> int:
        return len(self._addresses)

    def targets(self) -> list[str]:
        return list(self._addresses)

    def add(self, target: str, origin: Origin, coordinator_id: NodeId = NOBODY) -> bool:
        """Note an address, and return whether it is new. A known one stays what it is."""
        if target in self._addresses:
            return False
        room = ADDRESSES_MAX if origin is Origin.SEEN else ADDRESSES_MAX + TRUSTED_EXTRA
        if len(self._addresses) >= room and not self._drop_one():
            return False
        self._addresses[target] = Address(target, origin, coordinator_id)
        return True

    def dial(self, attached: frozenset[NodeId], now_s: float) -> list[Address]:
        """Return the addresses to dial now; each is in use until it is ``released``."""
        dialled = []
        for address in self._addresses.values():
            if self._wait_s(address, attached, now_s) == 0.0:
                address.in_use, address.dialled_s = True, now_s
                if address.doubtful:
                    self._doubtful_dial_s = now_s
                dialled.append(address)
        return dialled

    def wait_s(self, attached: frozenset[NodeId], now_s: float) -> float | None:
        """Return the seconds until an address is due; None while none will be by itself."""
        waits = (self._wait_s(each, attached, now_s) for each in self._addresses.values())
        return min((wait for wait in waits if wait is not None), default=None)

    def welcomed(self, address: Address, coordinator_id: NodeId) -> Iterable[Address]:
        """A coordinator proved to be there; return other addresses in use that are thought its."""
        address.coordinator_id, address.proven = coordinator_id, True
        address.failures, address.trouble = 0, ""
        return [
            each
            for each in self._addresses.values()
            if each.in_use and each is not address and each.coordinator_id == coordinator_id
        ]

    def released(self, address: Address, now_s: float, *, refused: bool) -> None:
        """The dial failed or the attach ended. ``refused``: it answered, and does not want us."""
        address.in_use = False
        address.failures += 1
        backoff = REFUSED if refused else DOUBTFUL if address.doubtful else UNREACHABLE
        address.retry_at_s = now_s + backoff.wait_s(address.failures, self._rng)

    def hurry(self) -> None:
        """What stood in the way of every dial is gone: none of them counts."""
        for address in self._addresses.values():
            address.failures, address.retry_at_s = 0, float("-inf")

    def _wait_s(self, address: Address, attached: frozenset[NodeId], now_s: float) -> float | None:
        if address.in_use or address.coordinator_id in attached:
            return None
        from_s = address.retry_at_s
        if address.doubtful and attached:
            from_s = max(from_s, self._doubtful_dial_s + SEEN_GAP_S)
        for other in self._addresses.values():
            if other.in_use and _may_be_one(address, other):
                from_s = max(from_s, other.dialled_s + STAGGER_S)
        return max(0.0, from_s - now_s)

    def _drop_one(self) -> bool:
        """Make room: of the doubtful addresses where nobody answers, the one tried most goes.

        One that was hardly tried stays, so that a flood of claims pushes no true one out.
        """
        worst = max(
            (each for each in self._addresses.values() if each.doubtful and not each.in_use),
            key=lambda each: each.failures,
            default=None,
        )
        if worst is None or worst.failures < DOUBTFUL_TRIES_MIN:
            return False
        del self._addresses[worst.target]
        return True


def _may_be_one(address: Address, other: Address) -> bool:
    """May both lead to one coordinator? Where an address that was told leads, a welcome shows."""
    unknown = NOBODY in (address.coordinator_id, other.coordinator_id)
    return unknown or address.coordinator_id == other.coordinator_id
