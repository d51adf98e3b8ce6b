"""Who may call what. One table; a test walks all of it.

Three ports, three ways to be someone: a certificate of the mesh (7443), nothing yet but a join
code (7444), or a program on this very machine (loopback).
"""

import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import grpc

from coordinator.members import Members
from mesh.core.types import NodeId
from mesh.errors import Forbidden, NotAuthenticated
from mesh.identity.peer import PeerIdentity, PeerRole, peer_identity

LOOPBACK = frozenset({"ipv4:127.0.0.1", "ipv6:[::1]", "ipv6:%5B::1%5D"})

_EVERYONE = frozenset({PeerRole.NODE, PeerRole.CLIENT, PeerRole.OPERATOR})
_NODE = frozenset({PeerRole.NODE})
_OPERATOR = frozenset({PeerRole.OPERATOR})

# method -> the roles that may call it with a certificate of the mesh
ALLOWED: dict[str, frozenset[PeerRole]] = {
    "Inference/Generate": _EVERYONE,
    "Inference/ListModels": _EVERYONE,
    "Inference/Embed": _EVERYONE,
    "Inference/CountTokens": _EVERYONE,
    "Inference/SendFeedback": _EVERYONE,
    "Inference/RecordOutcome": _EVERYONE,
    "Fleet/Attach": _NODE,
    "Fleet/Deliver": _NODE,
    "Enrolment/Join": frozenset(),  # on the join port only
    "Enrolment/Renew": _EVERYONE,
    "Operations/GetMesh": _EVERYONE,
    "Operations/Invite": _OPERATOR,
    "Operations/DrainNode": _OPERATOR,
    "Operations/Revoke": _OPERATOR,
    "Operations/ListMembers": _OPERATOR,
    "Operations/GetLedgerSummary": _OPERATOR,
    "Operations/ListLedgerRequests": _OPERATOR,
    "Operations/ExplainRequest": _OPERATOR,
    "Operations/ExplainRoute": _OPERATOR,  # it tells the operator's rules
    "Operations/ReplayRoutes": _OPERATOR,
    "Operations/Browse": _EVERYONE,  # what every machine's loopback shows: no names of askers
}

# What a refusal calls a method that not everybody may call.
DOING = {
    "Fleet/Attach": "serve the mesh",
    "Fleet/Deliver": "give answers",
    "Enrolment/Join": "join on this port",
    "Operations/Invite": "invite machines",
    "Operations/DrainNode": "drain or resume a node",
    "Operations/Revoke": "revoke a member",
    "Operations/ListMembers": "list the members",
    "Operations/GetLedgerSummary": "read the ledger",
    "Operations/ListLedgerRequests": "read the ledger",
    "Operations/ExplainRequest": "have any request explained",
    "Operations/ExplainRoute": "have a route explained",
    "Operations/ReplayRoutes": "replay recorded requests",
}

Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever makes a call."""

    principal: str  # scopes request ids: "operator:<fingerprint>", "local"
    on_this_host: bool
    identity: PeerIdentity | None = None  # None: a program on this machine, over loopback

    @property
    def node_id(self) -> NodeId:
        assert self.identity is not None, "only a node's calls ask for this"
        return NodeId(self.identity.fingerprint)


@dataclass(frozen=True, slots=True)
class LocalAccess:
    """For the loopback port: any program of this machine, to use the mesh but not to run it."""

    def admit(self, method: str, context: Context) -> Caller:
        """Raises Forbidden for what needs a certificate."""
        if not method.startswith("Inference/"):
            raise Forbidden(f"{method} is not served on the loopback port", hint="use mTLS")
        return Caller("local", on_this_host=True)


@dataclass(frozen=True, slots=True)
class MeshAccess:
    """For the mTLS port: whoever the mesh CA vouches for, by role."""

    mesh_id: str
    members: Members

    def admit(self, method: str, context: Context) -> Caller:
        """Return who calls.

        Raises:
            NotAuthenticated: no certificate, or one of another mesh.
            Forbidden: the role may not call ``method``, or whoever calls was revoked.
        """
        certificates = tuple(context.auth_context().get("x509_pem_cert", ()))
        if not certificates:
            raise NotAuthenticated("no client certificate was shown", hint="join the mesh first")
        peer = peer_identity(certificates[0], self.mesh_id, now_s=time.time())
        self.members.check(peer.fingerprint)
        if peer.role not in ALLOWED[method]:
            raise Forbidden(
                f"a {peer.role} may not {DOING[method]}",
                hint="run it on the coordinator's machine, which is an operator's",
            )
        # Both: a forwarder on this host lets any machine look as if it were here.
        here = is_loopback(context) and self.members.is_ours(peer.fingerprint)
        return Caller(f"{peer.role}:{peer.fingerprint}", here, peer)


Access = LocalAccess | MeshAccess


def is_loopback(context: Context) -> bool:
    """True only for a peer that certainly runs on this machine."""
    return str(context.peer()).rpartition(":")[0] in LOOPBACK


def host_of(context: Context) -> str:
    """Return the address that the peer called from, without its port."""
    return unquote(str(context.peer()).partition(":")[2].rpartition(":")[0]).strip("[]")
