"""Who this machine is, kept valid: a certificate lives for a day and is renewed at half of it."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable

import grpc

from mesh.dial import mesh_channel
from mesh.errors import Forbidden, MeshError, NodeLost, NotAuthenticated
from mesh.home import Home
from mesh.identity.machine import MachineIdentity
from mesh.identity.peer import PeerIdentity, PeerRole
from mesh.identity.store import IdentityStore
from mesh.renewing import is_due, is_valid, renew_expired, renew_valid

LOOK_EVERY_S = 2.0  # at the wall clock, which jumps when a laptop wakes or is set right
RETRY_EVERY_S = 30.0  # while the certificate still holds: 12 hours are left to renew it
EXPIRED_RETRY_S = 2.0  # when it does not: nothing works until it is renewed
HEARD_MAX = 8  # places where mDNS heard a coordinator; the newest are tried first
REFUSED_RETRY_S = 60.0  # we were told no: an operator may change that, but not in seconds

log = logging.getLogger("node")


class Credentials:
    """This machine's identity as a node, as the home holds it at each moment."""

    def __init__(self, home: Home, role: PeerRole = PeerRole.NODE) -> None:
        self._store = IdentityStore(home)
        self._role = role
        self._heard: deque[str] = deque(maxlen=HEARD_MAX)

    @property
    def peer(self) -> PeerIdentity:
        """Who this machine is, whether its certificate still holds or not.

        Raises:
            NotAuthenticated: this machine has not joined in this role.
        """
        return self._store.load(self._role).peer

    def current(self) -> MachineIdentity:
        """Return the identity to dial with. Blocks for three small files.

        Raises:
            NotAuthenticated: this machine has not joined.
            NodeLost: its certificate is not valid now; ``keep_valid`` gets another.
        """
        identity = self._store.load(self._role)
        if not is_valid(identity):
            raise NodeLost(  # not a refusal: dials go on at their usual pace
                "this machine's certificate has expired",
                hint="it is renewed as soon as a coordinator answers; else deskmesh join CODE",
            )
        return identity

    def open_channel(self, address: str) -> grpc.aio.Channel:
        """Open a channel to a coordinator of our mesh, wherever it is.

        Raises:
            NotAuthenticated, NodeLost: as ``current``.
        """
        return mesh_channel(address, self.current())

    def heard(self, join_address: str) -> None:
        """Note where a coordinator might renew an expired one: it may have moved meanwhile."""
        if join_address in self._heard:
            self._heard.remove(join_address)
        self._heard.append(join_address)

    async def keep_valid(
        self, reachable: Callable[[], str | None], reconnect: Callable[[], Awaitable[None]]
    ) -> None:
        """Renew when it is time, for ever.

        Args:
            reachable: returns the address of a coordinator that we are attached to, if any.
            reconnect: called with each new certificate, also one that another process put there:
                connections keep the one that they were opened with.
        """
        used = self._store.load(self._role)
        trouble, retry_at_s = "", 0.0
        while True:
            try:
                identity = self._store.load(self._role)
                if is_due(identity) and (time.monotonic() >= retry_at_s):
                    retry_at_s = time.monotonic() + _retry_s(identity)
                    identity = await self._renew(identity, reachable())
            except MeshError as failure:
                if isinstance(failure, Forbidden | NotAuthenticated):
                    retry_at_s = time.monotonic() + REFUSED_RETRY_S
                if failure.message != trouble:
                    trouble = failure.message
                    log.warning("this machine's certificate was not renewed: %s", failure)
            else:
                if identity.certificate_pem != used.certificate_pem:
                    used, trouble, retry_at_s = identity, "", 0.0
                    await reconnect()
            await asyncio.sleep(LOOK_EVERY_S)

    async def _renew(self, identity: MachineIdentity, address: str | None) -> MachineIdentity:
        if not is_valid(identity):
            renewed = await renew_expired(self._store, identity, self._join_addresses())
        elif address is not None:
            renewed = await renew_valid(self._store, identity, address)
        else:
            return identity
        log.info("this machine's certificate was renewed")
        return renewed

    def _join_addresses(self) -> list[str]:
        known = (each.join_address for each in self._store.membership().coordinators)
        return [*reversed(self._heard), *known]


def _retry_s(identity: MachineIdentity) -> float:
    return RETRY_EVERY_S if is_valid(identity) else EXPIRED_RETRY_S
