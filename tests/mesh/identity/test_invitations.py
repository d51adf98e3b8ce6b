"""An invitation lets one machine in, once, for ten minutes."""

import pytest

from mesh.errors import NotAuthenticated, Overloaded, Unsupported
from mesh.identity.invitations import (
    FAILURES_MAX,
    INVITATION_LIFE_S,
    OPEN_MAX,
    SOURCES_MAX,
    Invitation,
    Invitations,
)
from mesh.identity.joincode import JoinCode
from mesh.identity.peer import PeerRole

WRONG = b"\0" * 16


def guess(invitations: Invitations, times: int, now_s: float, *, source: str = "") -> None:
    for _ in range(times):
        with pytest.raises(NotAuthenticated):
            invitations.redeem(WRONG, now_s, source=source)


def test_an_invitation_is_redeemed_once() -> None:
    invitations = Invitations()
    secret = invitations.invite(PeerRole.NODE, 5.0, name="the Mac under the desk")
    assert JoinCode(bytes(32), secret, ()).secret == secret
    assert invitations.redeem(secret, 6.0) == Invitation(
        PeerRole.NODE, "the Mac under the desk", 5.0 + INVITATION_LIFE_S
    )
    with pytest.raises(NotAuthenticated, match=r"it was used, .*deskmesh invite"):
        invitations.redeem(secret, 6.0)


def test_each_invitation_is_of_its_own() -> None:
    invitations = Invitations()
    roles = (PeerRole.NODE, PeerRole.CLIENT, PeerRole.OPERATOR)
    secrets = {role: invitations.invite(role, 0.0) for role in roles}
    for role in reversed(roles):
        assert invitations.redeem(secrets[role], 1.0).role is role


def test_an_invitation_expires_after_ten_minutes() -> None:
    invitations = Invitations()
    early, late = (invitations.invite(PeerRole.NODE, 0.0) for _ in range(2))
    assert invitations.redeem(early, 599.9)
    with pytest.raises(NotAuthenticated, match="older than 10 minutes"):
        invitations.redeem(late, 600.0)


def test_nobody_is_invited_to_be_a_coordinator() -> None:
    with pytest.raises(Unsupported, match="pose as this one"):
        Invitations().invite(PeerRole.COORDINATOR, 0.0)


def test_open_invitations_are_bounded_and_expired_ones_make_room() -> None:
    invitations = Invitations()
    for _ in range(OPEN_MAX):
        invitations.invite(PeerRole.NODE, 0.0)
    with pytest.raises(Overloaded, match="100 invitations are open"):
        invitations.invite(PeerRole.NODE, 599.0)
    assert invitations.invite(PeerRole.NODE, 600.0)


def test_whoever_guesses_too_often_is_refused_for_a_minute() -> None:
    invitations = Invitations()
    secret = invitations.invite(PeerRole.NODE, 0.0)
    guess(invitations, FAILURES_MAX, 10.0)
    for now_s in (10.0, 69.9):
        with pytest.raises(Overloaded, match="too many wrong join codes"):
            invitations.redeem(secret, now_s)
    assert invitations.redeem(secret, 70.0)


def test_failures_spread_over_minutes_are_forgiven() -> None:
    invitations = Invitations()
    secret = invitations.invite(PeerRole.NODE, 0.0)
    for minute in range(5):
        guess(invitations, FAILURES_MAX - 1, 60.0 * minute)
    assert invitations.redeem(secret, 250.0)


def test_a_refused_source_has_to_guess_as_often_again_to_be_refused_again() -> None:
    invitations = Invitations()
    guess(invitations, FAILURES_MAX, 0.0)
    guess(invitations, FAILURES_MAX, 60.0)
    with pytest.raises(Overloaded):
        invitations.redeem(WRONG, 60.0)


def test_a_guesser_keeps_nobody_else_out() -> None:
    invitations = Invitations()
    secret = invitations.invite(PeerRole.NODE, 0.0)
    guess(invitations, FAILURES_MAX, 0.0, source="10.0.0.66")
    assert invitations.redeem(secret, 0.0, source="10.0.0.7")


def test_the_memory_for_guessers_is_bounded() -> None:
    invitations = Invitations()
    for number in range(3 * SOURCES_MAX):
        guess(invitations, 1, float(number), source=f"host-{number}")
    assert len(invitations._failures) == SOURCES_MAX


def test_secrets_are_drawn_anew_and_only_their_digests_are_kept() -> None:
    drawn = iter([b"a" * 16, b"b" * 16])
    invitations = Invitations(draw=lambda size: next(drawn))
    assert [invitations.invite(PeerRole.NODE, 0.0) for _ in range(2)] == [b"a" * 16, b"b" * 16]
    assert b"a" * 16 not in invitations._open
    assert repr(invitations) == "Invitations(open=2)"
    unseeded = Invitations()
    assert len({unseeded.invite(PeerRole.NODE, 0.0) for _ in range(OPEN_MAX)}) == OPEN_MAX
