"""Who this machine is, kept valid: a certificate lives for a day and is renewed at half of it."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

import grpc

from mesh.dial import mesh_channel
from mesh.errors import MeshError, NotAuthenticated
from mesh.home import Home
from mesh.identity.machine import MachineIdentity, assemble
from mesh.identity.peer import PeerRole
from mesh.identity.request import certificate_request
from mesh.identity.store import IdentityStore
from mesh.rpc import from_rpc
from mesh.v1 import fleet_pb2 as fleet
from mesh.v1 import fleet_pb2_grpc as fleet_grpc

LOOK_EVERY_S = 600.0  # a laptop that slept through its half-life renews soon after it woke
RETRY_EVERY_S = 30.0  # when it is time, and nobody could renew; 12 hours are left to do so
RENEW_WITHIN_S = 10.0

log = logging.getLogger("node")


class Credentials:
    """This machine's identity as a node, as the home holds it at each moment."""

    def __init__(self, home: Home) -> None:
        self._store = IdentityStore(home)

    def current(self) -> MachineIdentity:
        """Return the identity to dial with. Blocks for three small files.

        Raises:
            NotAuthenticated: this machine has not joined, or its certificate has expired.
        """
        identity = self._store.load(PeerRole.NODE)
        if identity.expires_at_s <= time.time():
            raise NotAuthenticated(
                "this machine's certificate has expired",
                hint="join again: deskmesh join CODE, with a code from deskmesh invite",
            )
        return identity

    def open_channel(self, address: str) -> grpc.aio.Channel:
        """Open a channel to a coordinator of our mesh, wherever it is.

        Raises:
            NotAuthenticated: as ``current``.
        """
        return mesh_channel(address, self.current())

    async def keep_valid(
        self, reachable: Callable[[], str | None], reconnect: Callable[[], Awaitable[None]]
    ) -> None:
        """Renew when it is time, for ever.

        Args:
            reachable: returns the address of a coordinator that we are attached to, if any.
            reconnect: called with each new certificate, also one that another process put there:
                connections keep the one that they were opened with.
        """
        used, wait_s = self.current(), 0.0
        while True:
            await asyncio.sleep(max(wait_s, min(LOOK_EVERY_S, used.renew_at_s - time.time())))
            wait_s = RETRY_EVERY_S
            try:
                identity = self.current()
                address = reachable()
                if identity.renew_at_s <= time.time() and address is not None:
                    identity = await self._renew(identity, address)
            except MeshError as failure:
                log.warning("this machine's certificate was not renewed: %s", failure)
                wait_s = LOOK_EVERY_S
                continue
            if identity.certificate_pem != used.certificate_pem:
                used, wait_s = identity, 0.0
                await reconnect()

    async def _renew(self, identity: MachineIdentity, address: str) -> MachineIdentity:
        key = self._store.key(PeerRole.NODE)
        request = fleet.RenewRequest(signing_request_pem=certificate_request(key).decode())
        async with mesh_channel(address, identity) as channel:
            try:
                response = await fleet_grpc.EnrolmentStub(channel).Renew(
                    request, timeout=RENEW_WITHIN_S
                )
            except grpc.aio.AioRpcError as failure:
                raise from_rpc(failure) from None
        renewed = assemble(key, response.certificate_pem.encode(), identity.authority_pem)
        self._store.save(renewed)
        log.info("this machine's certificate was renewed")
        return renewed
