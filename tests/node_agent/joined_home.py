"""A machine that has joined a mesh, and the mesh's authority."""

import time
from dataclasses import dataclass
from pathlib import Path

import grpc

from mesh.home import Home
from mesh.identity.authority import Authority
from mesh.identity.keys import new_key
from mesh.identity.peer import PeerRole
from mesh.identity.store import CoordinatorAddress, IdentityStore, Membership
from mesh.identity.tls import server_credentials
from mesh.settings import DiscoverySettings, NodeSettings, PortSettings, Settings


@dataclass(frozen=True, slots=True)
class JoinedHome:
    """Everything a node agent finds on its machine, and what its coordinator needs."""

    home: Home
    authority: Authority

    @classmethod
    def make(cls, folder: Path, *, age_s: float = 0.0) -> "JoinedHome":
        """Join a new mesh; the node's certificate is ``age_s`` old."""
        home = Home(folder / "node")
        authority = Authority.create_or_load(Home(folder / "mesh"), now_s=time.time() - age_s)
        store = IdentityStore(home)
        key = store.key(PeerRole.NODE)
        store.save(authority.enrol(key, PeerRole.NODE, now_s=time.time() - age_s))
        store.save_membership(Membership(mesh_id=authority.mesh_id))
        home.ensure(home.models)
        return cls(home, authority)

    @property
    def node_id(self) -> str:
        return IdentityStore(self.home).load(PeerRole.NODE).peer.fingerprint

    def knows(self, address: str) -> None:
        """Note where a coordinator is."""
        known = CoordinatorAddress(address=address, join_port=1)
        membership = Membership(mesh_id=self.authority.mesh_id, coordinators=(known,))
        IdentityStore(self.home).save_membership(membership)

    def coordinator_credentials(self) -> grpc.ServerCredentials:
        """What a coordinator of the mesh listens with."""
        identity = self.authority.enrol(new_key(), PeerRole.COORDINATOR, now_s=time.time())
        return server_credentials(lambda: identity)

    def settings(self, *, multicast: bool = False, **node: object) -> Settings:
        """Nothing of this machine's owner: no models, nobody to step back for, only loopback."""
        own = {"generosity": "full", "on_battery": "serve", "find_engines": False}
        given = {**own, **node}
        return Settings(
            ports=PortSettings(local=0, http=0),
            discovery=DiscoverySettings(multicast=multicast, interfaces=("127.0.0.1",)),
            node=NodeSettings.model_validate(
                {"name": "desk", "model_folders": (), "test_models": False, **given}
            ),
        )
