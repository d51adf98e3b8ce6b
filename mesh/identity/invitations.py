"""Open invitations, as the coordinator keeps them: each lets one machine in, once, for ten minutes.

No clock and no I/O: ``now_s`` is passed in, on any clock that never runs backwards. Secrets are
kept as digests only, so that neither a dump of this process nor a repr of it lets anyone in. They
live in memory: after a restart of the coordinator, invite again.
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from mesh.errors import Forbidden, NotAuthenticated, Overloaded, Unsupported
from mesh.identity.joincode import SECRET_BYTES
from mesh.identity.peer import PeerRole

INVITATION_LIFE_S = 600.0
OPEN_MAX = 100  # a person invites a roomful of machines at once, not a building
FAILURES_MAX = 20  # mistyped codes never get this far, so these are guesses
FAILURES_WITHIN_S = 60.0
REFUSE_FOR_S = 60.0
SOURCES_MAX = 256  # addresses whose failures are remembered; the oldest is forgotten first


# invited as -> what the machine may become: less than it was invited to, never more
REDEEMABLE_AS = {
    PeerRole.NODE: frozenset({PeerRole.NODE, PeerRole.CLIENT}),
    PeerRole.CLIENT: frozenset({PeerRole.CLIENT}),
    PeerRole.OPERATOR: frozenset({PeerRole.OPERATOR, PeerRole.CLIENT}),
}


@dataclass(frozen=True, slots=True)
class Invitation:
    """What an operator decided of a machine that may join."""

    role: PeerRole
    name: str  # for people, may be empty
    expires_at_s: float


@dataclass(slots=True)
class _Failures:
    """Wrong secrets from one source since ``since_s``."""

    since_s: float
    count: int = 0
    refused_until_s: float = 0.0


class Invitations:
    """The invitations that are open now. One task owns them."""

    def __init__(self, *, draw: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self._draw = draw
        self._open: dict[bytes, Invitation] = {}  # by digest of the secret
        self._failures: dict[str, _Failures] = {}  # by source, oldest first

    def __repr__(self) -> str:
        return f"Invitations(open={len(self._open)})"

    def invite(self, role: PeerRole, now_s: float, *, name: str = "") -> bytes:
        """Open an invitation and return its secret, which is kept nowhere: it goes into a JoinCode.

        Raises:
            Unsupported: nobody is invited to be a coordinator.
            Overloaded: too many invitations are open.
        """
        if role is PeerRole.COORDINATOR:
            raise Unsupported(
                "a coordinator cannot be invited: it would be able to pose as this one",
                hint="invite a node, a client or an operator",
            )
        self._forget_expired(now_s)
        if len(self._open) >= OPEN_MAX:
            raise Overloaded(
                f"{OPEN_MAX} invitations are open, which is the most",
                hint=f"use them, or wait until they expire ({INVITATION_LIFE_S / 60:.0f} minutes)",
            )
        secret = self._draw(SECRET_BYTES)
        self._open[_digest(secret)] = Invitation(role, name, now_s + INVITATION_LIFE_S)
        return secret

    def withdraw_all(self) -> None:
        """Void every open invitation: whoever is revoked may have made some, to come back by."""
        self._open.clear()

    def redeem(
        self, secret: bytes, now_s: float, *, source: str = "", role: PeerRole | None = None
    ) -> Invitation:
        """Use up the invitation that ``secret`` is of, and return it.

        Args:
            secret: as the joiner sent it.
            now_s: seconds, on the clock of ``invite``.
            source: the joiner's host. Guesses are counted for each, so that one guesser cannot keep
                everyone else out.
            role: what the joiner wants to become; None: what it was invited as.

        Raises:
            Forbidden: it was not invited to that. The invitation stays open.
            NotAuthenticated: no open invitation has this secret: used, expired, or never there.
            Overloaded: this source guessed too often; for a minute not even a right one counts.
        """
        self._refuse_guesser(source, now_s)
        self._forget_expired(now_s)
        digest = _digest(secret)
        found = None
        for known in self._open:  # all of them, so that the time taken tells nothing
            if hmac.compare_digest(known, digest):
                found = known
        if found is None:
            self._count_failure(source, now_s)
            raise NotAuthenticated(
                "the join code lets nobody in: it was used, or is older than "
                f"{INVITATION_LIFE_S / 60:.0f} minutes, or the coordinator has restarted since",
                hint="make a new one with deskmesh invite",
            )
        invited_as = self._open[found].role
        if role is not None and role not in REDEEMABLE_AS[invited_as]:
            raise Forbidden(
                f"this join code lets in a {invited_as}, not a {role}",
                hint=f"make another one with deskmesh invite --role {role}",
            )
        return self._open.pop(found)

    def _forget_expired(self, now_s: float) -> None:
        for digest in [key for key, value in self._open.items() if value.expires_at_s <= now_s]:
            del self._open[digest]

    def _refuse_guesser(self, source: str, now_s: float) -> None:
        failures = self._failures.get(source)
        if failures is not None and now_s < failures.refused_until_s:
            raise Overloaded(
                "too many wrong join codes came from this machine",
                hint=f"wait {REFUSE_FOR_S:.0f} seconds, then try again with a new code",
            )

    def _count_failure(self, source: str, now_s: float) -> None:
        failures = self._failures.get(source)
        if failures is None or now_s >= failures.since_s + FAILURES_WITHIN_S:
            self._failures.pop(source, None)
            if len(self._failures) >= SOURCES_MAX:
                del self._failures[next(iter(self._failures))]
            failures = self._failures[source] = _Failures(since_s=now_s)
        failures.count += 1
        if failures.count >= FAILURES_MAX:
            failures.refused_until_s = now_s + REFUSE_FOR_S


def _digest(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()
