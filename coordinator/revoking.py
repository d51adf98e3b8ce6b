"""Ending a membership: on disk first, then on every stream that the member has open."""

import logging

from coordinator.effects import Relay
from coordinator.loop import FleetLoop
from coordinator.members import Member, Members
from mesh.core.events import RequestCancelled
from mesh.core.types import Failure, FailureCode
from mesh.identity.invitations import Invitations
from mesh.v1 import operations_pb2 as operations
from mesh.wire.text import printable

REASON_CHARACTERS_MAX = 200

log = logging.getLogger(__name__)


class Membership:
    """What operators see of the members, and do to them."""

    def __init__(
        self, members: Members, invitations: Invitations, loop: FleetLoop, relay: Relay
    ) -> None:
        self._members = members
        self._invitations = invitations
        self._loop = loop
        self._relay = relay

    def revoke(self, fingerprint: str, reason: str) -> None:
        """End a membership, and whatever it is doing.

        Raises:
            InvalidRequest: nobody has this key, or it is the coordinator's own machine's.
            ServiceError: the disk refuses, so that a restart would forget it; it is cut off now.
        """
        because = printable(reason, REASON_CHARACTERS_MAX) or "an operator asked"
        try:
            member = self._members.revoke(fingerprint, because)
        finally:
            self._cut_off(fingerprint)
        log.warning("%s %s (%s) was revoked", member.role, member.name or "-", fingerprint)

    def view(self) -> operations.ListMembersResponse:
        """Everyone, as operators see them."""
        return operations.ListMembersResponse(members=map(_write, self._members.all()))

    def _cut_off(self, fingerprint: str) -> None:
        if not self._members.is_revoked(fingerprint):
            return
        ended = Failure(FailureCode.FORBIDDEN, "this machine was revoked by an operator")
        self._invitations.withdraw_all()
        for connection in list(self._relay.connections.values()):
            if connection.node_id == fingerprint:
                connection.close(ended)
        for key in list(self._relay.clients):
            if key.principal.endswith(f":{fingerprint}"):
                self._loop.post(RequestCancelled(key, "whoever asked was revoked"))


def _write(member: Member) -> operations.MemberView:
    return operations.MemberView(
        fingerprint=member.fingerprint,
        role=member.role,
        name=member.name,
        invited_as=member.invited_as,
        joined_at_s=member.joined_at_s,
        renewed_at_s=member.renewed_at_s,
        revoked_at_s=member.revoked_at_s,
        revoked_because=member.revoked_because,
    )
