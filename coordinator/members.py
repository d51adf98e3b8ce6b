"""Who was let into this mesh, and who no longer is.

The mesh CA vouches for a key by signing it; this file is how the mesh takes its word back. A
joining or a revocation is on disk before it is answered; the time of a renewal, which only
people read, a little later.
"""

import asyncio
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mesh.errors import Forbidden, InvalidRequest, MeshError, Overloaded, ServiceError
from mesh.identity.files import cannot, write_private, write_private_once
from mesh.identity.peer import PeerIdentity, PeerRole
from mesh.identity.proof import RENEWABLE_FOR_S

MEMBERS_MAX = 10_000  # 2 MB of names; twice the nodes that a mesh has by default
OWN_KEYS_MAX = 100  # of the coordinator's machine, for which there is room in any case
FORGOTTEN_AFTER_S = RENEWABLE_FOR_S + 2 * 86_400  # by then its last certificate is good for nothing
WRITE_EVERY_S = 30.0  # renewals: what a crash may forget of them is a time that people read

log = logging.getLogger(__name__)


class Member(BaseModel):
    """A key that the mesh CA has certified. Times are Unix time."""

    model_config = ConfigDict(frozen=True)

    fingerprint: str = Field(pattern=r"^[a-z2-7]{26}$")
    role: PeerRole
    name: str = ""  # that the machine told
    invited_as: str = ""  # the operator's note
    joined_at_s: float
    renewed_at_s: float
    revoked_at_s: float = 0.0  # 0: it is a member
    revoked_because: str = ""


class _File(BaseModel):
    version: Literal[1] = 1
    members: list[Member] = Field(max_length=MEMBERS_MAX + OWN_KEYS_MAX)


@dataclass(frozen=True, slots=True)
class Admitted:
    """What is known of a machine as it joins."""

    peer: PeerIdentity
    name: str = ""
    invited_as: str = ""


class Members:
    """The register of one mesh. One event loop owns it."""

    def __init__(self, path: Path) -> None:
        """Raises ServiceError: it cannot be read. Without it nobody knows who was revoked."""
        self._path = path
        self._members = {member.fingerprint: member for member in _read(path)}
        self._own: set[str] = set()
        self._unwritten = False

    @classmethod
    def begin(cls, path: Path) -> None:
        """Make the register of a new mesh, unless it is there, before the mesh has a CA.

        Raises:
            ServiceError: the disk refuses.
        """
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as failure:
            raise cannot("make the folder", path.parent, failure) from failure
        write_private_once(path, _File(members=[]).model_dump_json(indent=1).encode() + b"\n")

    def all(self) -> list[Member]:
        """Everyone, by name."""
        return sorted(self._members.values(), key=lambda each: (each.name, each.fingerprint))

    def check(self, fingerprint: str) -> None:
        """Let whoever is not revoked pass.

        Raises:
            Forbidden: it is.
        """
        member = self._members.get(fingerprint)
        if member is not None and member.revoked_at_s:
            raise Forbidden(
                "this machine was revoked and is no longer a member of the mesh",
                hint="ask an operator; to let it in again, remove its identity folder and join",
            )

    def is_ours(self, fingerprint: str) -> bool:
        """Whether the key is of the coordinator's own machine."""
        return fingerprint in self._own

    def is_revoked(self, fingerprint: str) -> bool:
        member = self._members.get(fingerprint)
        return member is not None and member.revoked_at_s > 0

    def joined(self, admitted: Admitted) -> None:
        """Write down a new member, or that a known one joined again.

        Raises:
            Forbidden: its key was revoked, and that is for good.
            Overloaded: the register is full.
            ServiceError: the disk refuses.
        """
        self._put(admitted, own=False)
        self.write()

    def ours(self, peer: PeerIdentity, name: str) -> None:
        """Write down a key of the coordinator's own machine, which nobody revokes."""
        self._own.add(peer.fingerprint)
        self._put(Admitted(peer, name=name), own=True)
        self._unwritten = True

    def make_room(self, fingerprint: str) -> None:
        """Raises Overloaded if whoever has this key does not fit in any more.

        Asked before a join code is used up.
        """
        if fingerprint in self._members or len(self._members) < MEMBERS_MAX:
            return
        oldest_s = time.time() - FORGOTTEN_AFTER_S
        for member in list(self._members.values()):
            if not member.revoked_at_s and member.renewed_at_s < oldest_s:
                del self._members[member.fingerprint]
        if len(self._members) >= MEMBERS_MAX:
            raise Overloaded(
                f"the mesh has {MEMBERS_MAX} members, which is the most",
                hint="begin another mesh for the others",
            )

    def renewed(self, peer: PeerIdentity) -> None:
        """Note the time. Whoever is unknown has a certificate of our CA and is written down."""
        member = self._members.get(peer.fingerprint)
        if member is None:
            self.make_room(peer.fingerprint)
            self._put(Admitted(peer), own=False)
        else:
            self._members[peer.fingerprint] = member.model_copy(
                update={"renewed_at_s": time.time()}
            )
        self._unwritten = True

    def revoke(self, fingerprint: str, because: str) -> Member:
        """End a membership, on disk before this returns. To do so again changes nothing.

        Raises:
            InvalidRequest: nobody has this key, or this very coordinator's machine has.
            ServiceError: the disk refuses; the membership has ended all the same, until a restart.
        """
        member = self._members.get(fingerprint)
        if member is None:
            raise InvalidRequest("no member has that key", hint="see `deskmesh members`")
        if fingerprint in self._own:
            raise InvalidRequest(
                "that key is this coordinator's own machine's, which cannot be revoked",
                hint="see `deskmesh members` for the others",
            )
        if not member.revoked_at_s:
            member = member.model_copy(
                update={"revoked_at_s": time.time(), "revoked_because": because}
            )
            self._members[fingerprint] = member
        self.write()
        return member

    def write(self) -> None:
        """Raises ServiceError: the disk refuses."""
        file = _File(members=list(self._members.values()))
        self._unwritten = True
        write_private(self._path, file.model_dump_json(indent=1).encode() + b"\n")
        self._unwritten = False

    async def keep_written(self) -> None:
        """Write what changed now and then. Ends only by cancellation."""
        while True:
            await asyncio.sleep(WRITE_EVERY_S)
            if self._unwritten:
                try:
                    self.write()
                except MeshError as failure:
                    log.warning("the register of members is not written: %s", failure)

    def _put(self, admitted: Admitted, *, own: bool) -> None:
        peer, now_s = admitted.peer, time.time()
        known = self._members.get(peer.fingerprint)
        if known is not None and known.revoked_at_s and not own:
            self.check(peer.fingerprint)
        if known is not None and known.role is not peer.role:  # else the weaker one would hide it
            raise Forbidden(
                f"this key is known to the mesh as that of a {known.role}",
                hint="use a key of its own for each role, as deskmesh join does",
            )
        self._members[peer.fingerprint] = Member(
            fingerprint=peer.fingerprint,
            role=peer.role,
            name=admitted.name,
            invited_as=admitted.invited_as,
            joined_at_s=known.joined_at_s if known is not None and own else now_s,
            renewed_at_s=now_s,
        )


def _read(path: Path) -> list[Member]:
    try:
        return _File.model_validate_json(path.read_bytes()).members
    except FileNotFoundError:
        raise ServiceError(
            f"{path} is missing, so nobody knows who was revoked",
            hint="restore it from a backup; or, if nobody was, write "
            '{"members": []} into it: every valid certificate counts then',
        ) from None
    except OSError as failure:
        raise cannot("read", path, failure) from failure
    except ValidationError:
        raise ServiceError(
            f"{path} is not what deskmesh wrote, so nobody knows who was revoked",
            hint="restore it from a backup; without it every revoked machine could come back",
        ) from None
