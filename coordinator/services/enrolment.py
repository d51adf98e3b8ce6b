"""``Enrolment``: how a machine becomes a member, and stays one."""

import time
from collections.abc import Callable

from coordinator.access import Context, MeshAccess, host_of
from coordinator.members import Admitted, Members
from mesh.errors import Forbidden, InvalidRequest, MeshError, NotAuthenticated
from mesh.identity.authority import Authority, Issued
from mesh.identity.invitations import Invitations
from mesh.identity.keys import fingerprint
from mesh.identity.peer import PeerIdentity, PeerRole
from mesh.identity.proof import RENEWABLE_FOR_S, Challenges
from mesh.identity.request import requested_key
from mesh.rpc import abort
from mesh.v1 import fleet_pb2 as fleet
from mesh.v1 import fleet_pb2_grpc as fleet_grpc
from mesh.wire.text import printable

DAY_S = 86_400.0
NAME_CHARACTERS_MAX = 64


class EnrolmentService(fleet_grpc.EnrolmentServicer):
    """Joins on the port without client certificates, renews on the one with them."""

    def __init__(
        self,
        authority: Authority,
        invitations: Invitations,
        addresses: Callable[[], tuple[list[str], list[str]]],
        access: MeshAccess | None,
        members: Members,
    ) -> None:
        """``addresses`` returns host:port of mesh and join ports; no ``access``: the join port."""
        self._authority = authority
        self._invitations = invitations
        self._addresses = addresses
        self._access = access
        self._members = members
        self._challenges = Challenges()

    async def Join(self, request: fleet.JoinRequest, context: Context) -> fleet.JoinResponse:
        """Trade a one-time secret for a certificate."""
        try:
            if self._access is not None:
                raise Forbidden(
                    "machines join on the join port", hint="use the join code's address"
                )
            request_pem = request.signing_request_pem.encode()
            # Neither a bad request nor a revoked key uses up the code.
            joining = fingerprint(requested_key(request_pem))
            self._members.check(joining)
            self._members.make_room(joining)
            wanted = _role(request.role)
            invitation = self._invitations.redeem(
                request.secret, time.monotonic(), source=host_of(context), role=wanted
            )
            role = wanted or invitation.role
            issued = self._authority.issue(request_pem, role, now_s=time.time())
            name = printable(request.machine_name, NAME_CHARACTERS_MAX)
            self._members.joined(Admitted(issued.peer, name, invitation.name))
            return self._response(issued)
        except MeshError as failure:
            await abort(context, failure)

    async def Renew(self, request: fleet.RenewRequest, context: Context) -> fleet.JoinResponse:
        """A new certificate for the key of the one that was shown, or is proven to be held."""
        try:
            if self._access is None:
                return self._renew_by_proof(request)
            caller = self._access.admit("Enrolment/Renew", context)
            assert caller.identity is not None
            return self._renewed(request, caller.identity)
        except MeshError as failure:
            await abort(context, failure)

    def _renew_by_proof(self, request: fleet.RenewRequest) -> fleet.JoinResponse:
        """Answer with a challenge at first, and whoever signed it with a certificate."""
        holder, key, expired_s = self._authority.certified(request.certificate_pem.encode())
        self._members.check(holder.fingerprint)
        if holder.role is PeerRole.COORDINATOR:
            raise Forbidden("a coordinator's certificate is renewed on its own machine alone")
        if time.time() > expired_s + RENEWABLE_FOR_S:
            raise NotAuthenticated(
                f"the certificate expired more than {RENEWABLE_FOR_S / DAY_S:.0f} days ago",
                hint="join again: deskmesh join CODE, with a code from deskmesh invite",
            )
        if not request.proof:
            return fleet.JoinResponse(challenge=self._challenges.new(key))
        self._challenges.check(request.challenge, request.proof, key)
        return self._renewed(request, holder)

    def _renewed(self, request: fleet.RenewRequest, holder: PeerIdentity) -> fleet.JoinResponse:
        signing_request_pem = request.signing_request_pem.encode()
        issued = self._authority.renew(signing_request_pem, holder, now_s=time.time())
        self._members.renewed(holder)
        return self._response(issued)

    def _response(self, issued: Issued) -> fleet.JoinResponse:
        mesh, join = self._addresses()
        return fleet.JoinResponse(
            certificate_pem=issued.certificate_pem.decode(),
            authority_pem=self._authority.certificate_pem.decode(),
            mesh_id=self._authority.mesh_id,
            role=PeerRole(issued.peer.role),
            coordinators=mesh,
            join_addresses=join,
        )


def _role(name: str) -> PeerRole | None:
    if not name:
        return None
    try:
        return PeerRole(name)
    except ValueError:
        raise InvalidRequest(
            "the role that the machine asks for is unknown", hint="update deskmesh there or here"
        ) from None
