"""``Operations``: what operators and the command line ask."""

import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass

from coordinator.access import Context, MeshAccess
from coordinator.desk import Desk
from coordinator.loop import FleetLoop
from coordinator.pages.carried import Carried
from coordinator.recent import Recent
from coordinator.replaying import Replaying
from coordinator.revoking import Membership
from coordinator.services.ledger import LedgerReports, moment
from mesh.core.events import NodeDrained
from mesh.core.types import NodeId
from mesh.errors import InvalidRequest, MeshError
from mesh.identity.authority import Authority
from mesh.identity.invitations import INVITATION_LIFE_S, Invitations
from mesh.identity.joincode import JoinCode
from mesh.identity.peer import PeerRole
from mesh.rpc import abort
from mesh.v1 import inference_pb2 as inference
from mesh.v1 import operations_pb2 as operations
from mesh.v1 import operations_pb2_grpc as operations_grpc
from mesh.wire.nodes import write_node
from mesh.wire.receipts import write_receipt
from mesh.wire.routes import write_replay, write_route


@dataclass(frozen=True, slots=True)
class Self:
    """What this coordinator says of itself."""

    coordinator_id: str
    name: str
    version: str
    mesh_id: str
    started_s: float  # on the monotonic clock


class OperationsService(operations_grpc.OperationsServicer):
    """Serves operators on the mTLS port."""

    def __init__(  # noqa: PLR0913 - each is one thing it speaks for
        self,
        *,
        loop: FleetLoop,
        access: MeshAccess,
        who: Self,
        authority: Authority,
        invitations: Invitations,
        addresses: Callable[[], tuple[list[str], list[str]]],
        membership: Membership,
        ledger: LedgerReports,
        carried: Carried,
        recent: Recent,
        desk: Desk,
        replaying: Replaying,
    ) -> None:
        self._loop = loop
        self._access = access
        self._who = who
        self._authority = authority
        self._invitations = invitations
        self._addresses = addresses
        self._membership = membership
        self._ledger = ledger
        self._carried = carried
        self._recent = recent
        self._desk = desk
        self._replaying = replaying

    async def GetMesh(
        self, request: operations.GetMeshRequest, context: Context
    ) -> operations.MeshView:
        """The mesh at a glance."""
        await self._admit("GetMesh", context)
        fleet, now_s = self._loop.fleet, self._loop.now_s
        nodes = sorted(fleet.directory.nodes.values(), key=lambda node: (node.name, node.node_id))
        return operations.MeshView(
            mesh_id=self._who.mesh_id,
            coordinator=operations.CoordinatorView(
                coordinator_id=self._who.coordinator_id,
                name=self._who.name,
                version=self._who.version,
                uptime_s=time.monotonic() - self._who.started_s,
                addresses=self._addresses()[0],
            ),
            nodes=[write_node(node, now_s) for node in nodes],
            requests_running=fleet.requests.running,
            requests_waiting=fleet.requests.waiting,
            requests_total=fleet.requests.total,
        )

    async def Invite(
        self, request: operations.InviteRequest, context: Context
    ) -> operations.InviteResponse:
        """Open an invitation and return its code, once."""
        await self._admit("Invite", context)
        try:
            role = _role(request.role)
            secret = self._invitations.invite(role, time.monotonic(), name=request.name[:64])
        except MeshError as failure:
            await abort(context, failure)
        code = JoinCode(self._authority.sha256, secret, tuple(self._addresses()[1][:4]), role)
        return operations.InviteResponse(code=code.encode(), expires_in_s=int(INVITATION_LIFE_S))

    async def DrainNode(
        self, request: operations.DrainNodeRequest, context: Context
    ) -> inference.Acknowledgement:
        """Nothing new for a node; or an end to that."""
        await self._admit("DrainNode", context)
        node_id = NodeId(request.node_id)
        if node_id not in self._loop.fleet.directory.nodes:
            unknown = InvalidRequest("no such node", hint="see `deskmesh status`")
            await abort(context, unknown)
        reason = request.reason[:200] or "an operator asked"
        drained = NodeDrained(node_id, reason, resumed=request.resume, by_operator=True)
        self._loop.post(drained)
        return inference.Acknowledgement()

    async def Revoke(
        self, request: operations.RevokeRequest, context: Context
    ) -> inference.Acknowledgement:
        """A key is no longer a member, at once and for good."""
        await self._admit("Revoke", context)
        try:
            self._membership.revoke(request.fingerprint, request.reason)
        except MeshError as failure:
            await abort(context, failure)
        return inference.Acknowledgement()

    async def ListMembers(
        self, request: operations.ListMembersRequest, context: Context
    ) -> operations.ListMembersResponse:
        """Everyone who was let in, and who is no longer."""
        await self._admit("ListMembers", context)
        return self._membership.view()

    async def GetLedgerSummary(
        self, request: operations.LedgerSummaryRequest, context: Context
    ) -> operations.LedgerSummary:
        """What was asked and where it was answered, in numbers."""
        await self._admit("GetLedgerSummary", context)
        try:
            return await self._ledger.summary(request)
        except MeshError as failure:
            await abort(context, failure)

    async def ListLedgerRequests(
        self, request: operations.LedgerRequestsRequest, context: Context
    ) -> operations.LedgerRequestsResponse:
        """The rows behind the numbers."""
        await self._admit("ListLedgerRequests", context)
        try:
            return await self._ledger.requests(request)
        except MeshError as failure:
            await abort(context, failure)

    async def ExplainRequest(
        self, request: operations.ExplainRequestRequest, context: Context
    ) -> operations.ExplainRequestResponse:
        """Why a recent request went where it did."""
        await self._admit("ExplainRequest", context)
        try:
            told = self._recent.explain(request.request_id, request.principal)
        except MeshError as failure:
            await abort(context, failure)
        return operations.ExplainRequestResponse(
            receipt=write_receipt(told.receipt, self._who.coordinator_id),
            principal=told.receipt.key.principal,
            state=told.state,
            failure=told.failure,
            arrived_ago_s=told.arrived_ago_s,
        )

    async def ExplainRoute(
        self, request: inference.GenerateRequest, context: Context
    ) -> operations.RouteExplanation:
        """Which rules, rungs and model a request would meet, without answering it."""
        try:
            caller = self._access.admit("Operations/ExplainRoute", context)
            foreseen = self._desk.foresee(request, caller)
        except MeshError as failure:
            await abort(context, failure)
        return write_route(foreseen, rules_known=self._desk.rules_known)

    async def ReplayRoutes(
        self, request: operations.ReplayRoutesRequest, context: Context
    ) -> operations.ReplayRoutesResponse:
        """Recorded requests, decided anew under another policy."""
        await self._admit("ReplayRoutes", context)
        try:
            since_s = moment(request.since_s)
            found = await self._replaying.replay(request.policy, since_s)
        except MeshError as failure:
            await abort(context, failure)
        return write_replay(request.policy, found)

    async def Browse(self, request: operations.BrowseRequest, context: Context) -> None:
        """Carry the mesh-health page to another machine's browser."""
        try:
            caller = self._access.admit("Operations/Browse", context)
            async with aclosing(self._carried.browse(request, caller.principal)) as parts:
                async for part in parts:
                    self._access.admit("Operations/Browse", context)  # revoked meanwhile?
                    await context.write(part)
        except MeshError as failure:
            await abort(context, failure)

    async def _admit(self, name: str, context: Context) -> None:
        try:
            self._access.admit(f"Operations/{name}", context)
        except MeshError as failure:
            await abort(context, failure)


def _role(name: str) -> PeerRole:
    try:
        return PeerRole(name or PeerRole.NODE)
    except ValueError:
        raise InvalidRequest(
            f"role {name[:40]!r} is unknown", hint="use node, client or operator"
        ) from None
