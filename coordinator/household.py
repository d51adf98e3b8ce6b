"""What belongs to the coordinator's own machine: the mesh CA, and the identities of this host.

The first start makes the CA. Each start, and half a certificate's life later again, the CA
vouches anew for this host's coordinator, its command line (operator) and its node.
"""

import asyncio
import logging
import time

from coordinator.members import Members
from mesh.core.types import NodeId
from mesh.errors import InvalidRequest, MeshError, NotAuthenticated
from mesh.home import Home
from mesh.identity.authority import Authority
from mesh.identity.machine import MachineIdentity
from mesh.identity.peer import PeerRole
from mesh.identity.store import CoordinatorAddress, IdentityStore, Membership
from mesh.renewing import is_due

OWN_ROLES = (PeerRole.OPERATOR, PeerRole.NODE)
LOOK_EVERY_S = 1.0  # at the wall clock, which may jump: a laptop that woke, a clock set right

log = logging.getLogger(__name__)


class Household:
    """The CA and the coordinator's identity, kept valid while ``keep_valid`` runs."""

    def __init__(self, home: Home) -> None:
        """Load what is there, or make a mesh.

        Raises:
            InvalidRequest: this machine has joined another mesh.
            NotAuthenticated, ServiceError: a file is damaged, or the disk refuses.
        """
        self._store = IdentityStore(home)
        self._refuse_a_second_mesh(home)
        if not Authority.is_made(home):  # only then: a mesh whose register is gone has to ask
            Members.begin(home.members)
        self.authority = Authority.create_or_load(home, now_s=time.time())
        self.members = Members(home.members)
        self._key = self._store.key(PeerRole.COORDINATOR)
        self._identity = self._enrol()
        self._store.save(self._identity)

    @property
    def mesh_id(self) -> str:
        return self.authority.mesh_id

    @property
    def coordinator_id(self) -> NodeId:
        return NodeId(self._identity.peer.fingerprint)

    def identity(self) -> MachineIdentity:
        """The coordinator's identity of this moment; called by TLS at each handshake."""
        return self._identity

    def enrol_this_host(self, mesh_port: int, join_port: int, name: str) -> None:
        """Give this host's command line and node their certificates, and where to dial."""
        for role in OWN_ROLES:
            self.members.ours(self.authority.enrol_peer(self._store.key(role), role), name)
        self._certify_own_roles()
        here = CoordinatorAddress(address=f"127.0.0.1:{mesh_port}", join_port=join_port)
        self._store.save_membership(Membership(mesh_id=self.mesh_id, coordinators=(here,)))

    async def keep_valid(self) -> None:
        """Renew what this host holds at half of its life, or when the clock has jumped.

        A disk that refuses is told once, and tried again. Ends only by cancellation.
        """
        saved, trouble = True, ""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            if is_due(self._identity):
                self._identity, saved = self._enrol(), False
            if saved:
                continue
            try:
                await asyncio.to_thread(self._save_all)
                saved, trouble = True, ""
            except MeshError as failure:
                if failure.message != trouble:
                    trouble = failure.message
                    log.error("this host's new certificates are not saved: %s", failure)

    def _enrol(self) -> MachineIdentity:
        return self.authority.enrol(self._key, PeerRole.COORDINATOR, now_s=time.time())

    def _save_all(self) -> None:
        self._store.save(self._identity)
        self._certify_own_roles()

    def _certify_own_roles(self) -> None:
        for role in OWN_ROLES:
            key = self._store.key(role)
            self._store.save(self.authority.enrol(key, role, now_s=time.time()))

    def _refuse_a_second_mesh(self, home: Home) -> None:
        try:
            joined = self._store.membership().mesh_id
        except NotAuthenticated:
            return  # no mesh yet, or nothing readable: the CA below is what counts
        if not home.authority.exists():
            raise InvalidRequest(
                f"this machine has joined mesh {joined}, which another machine coordinates",
                hint="use `deskmesh node` here, or another DESKMESH_HOME for a mesh of its own",
            )
