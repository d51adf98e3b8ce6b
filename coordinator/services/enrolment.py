"""``Enrolment``: how a machine becomes a member, and stays one."""

import time
from collections.abc import Callable

from coordinator.access import Context, MeshAccess, host_of
from mesh.errors import Forbidden, InvalidRequest, MeshError, NotAuthenticated
from mesh.identity.authority import Authority, Issued
from mesh.identity.invitations import Invitations
from mesh.identity.peer import PeerRole
from mesh.identity.request import requested_key
from mesh.rpc import abort
from mesh.v1 import fleet_pb2 as fleet
from mesh.v1 import fleet_pb2_grpc as fleet_grpc


class EnrolmentService(fleet_grpc.EnrolmentServicer):
    """Joins on the port without client certificates, renews on the one with them."""

    def __init__(
        self,
        authority: Authority,
        invitations: Invitations,
        addresses: Callable[[], tuple[list[str], list[str]]],
        access: MeshAccess | None,
    ) -> None:
        """``addresses`` returns host:port of mesh and join ports; no ``access``: the join port."""
        self._authority = authority
        self._invitations = invitations
        self._addresses = addresses
        self._access = access

    async def Join(self, request: fleet.JoinRequest, context: Context) -> fleet.JoinResponse:
        """Trade a one-time secret for a certificate."""
        try:
            if self._access is not None:
                raise Forbidden(
                    "machines join on the join port", hint="use the join code's address"
                )
            request_pem = request.signing_request_pem.encode()
            requested_key(request_pem)  # a bad request does not use up the code
            wanted = _role(request.role)
            invitation = self._invitations.redeem(
                request.secret, time.monotonic(), source=host_of(context), role=wanted
            )
            role = wanted or invitation.role
            issued = self._authority.issue(request_pem, role, now_s=time.time())
            return self._response(issued)
        except MeshError as failure:
            await abort(context, failure)

    async def Renew(self, request: fleet.RenewRequest, context: Context) -> fleet.JoinResponse:
        """A new certificate for the key of the one that was shown."""
        try:
            if self._access is None:
                raise NotAuthenticated(
                    "an expired certificate cannot be renewed by this version",
                    hint="join again with a new code from `deskmesh invite`",
                )
            caller = self._access.admit("Enrolment/Renew", context)
            assert caller.identity is not None
            issued = self._authority.renew(
                request.signing_request_pem.encode(), caller.identity, now_s=time.time()
            )
            return self._response(issued)
        except MeshError as failure:
            await abort(context, failure)

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
