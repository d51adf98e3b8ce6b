"""A certificate that is young, old, too old, or dated by a clock that runs apart."""

import os
import time
from pathlib import Path

import pytest

from mesh.doctor.finding import Verdict
from mesh.doctor.membership import clock, judge_membership, membership
from mesh.home import Home
from mesh.identity.peer import PeerRole
from mesh.identity.store import IdentityStore
from tests.node_agent.joined_home import JoinedHome

DAY_S = 86_400.0


@pytest.fixture
def joined(tmp_path: Path) -> JoinedHome:
    return JoinedHome.make(tmp_path)


@pytest.mark.parametrize(
    ("later_s", "verdict", "word"),
    [
        (0.0, Verdict.OK, "valid for 24.0 h"),
        (-2 * DAY_S, Verdict.FAILED, "not valid yet"),
        (2 * DAY_S, Verdict.WARNING, "expired 24.0 h ago"),
    ],
)
def test_a_certificate_holds_for_a_day(
    joined: JoinedHome, later_s: float, verdict: Verdict, word: str
) -> None:
    identity = IdentityStore(joined.home).load(PeerRole.NODE)
    found = judge_membership(identity, now_s=time.time() + later_s)
    assert (found.verdict, word in found.what) == (verdict, True), found


def test_a_machine_that_has_joined_nothing_is_told_how(tmp_path: Path) -> None:
    found, identity = membership(Home(tmp_path / "new"))
    assert identity is None
    assert found.verdict is Verdict.WARNING
    assert "deskmesh join CODE" in found.mend


def test_a_damaged_identity_fails(joined: JoinedHome) -> None:
    (joined.home.identity / "node" / "certificate.pem").write_text("garbage")
    found, identity = membership(joined.home)
    assert identity is None
    assert found.verdict is Verdict.FAILED
    assert found.mend


@pytest.mark.parametrize(
    ("apart_s", "verdict", "side"),
    [(0.0, Verdict.OK, ""), (600.0, Verdict.WARNING, "ahead"), (-600.0, Verdict.WARNING, "behind")],
)
def test_a_clock_that_ran_apart_when_the_certificate_came_is_told(
    joined: JoinedHome, apart_s: float, verdict: Verdict, side: str
) -> None:
    file = joined.home.identity / "node" / "certificate.pem"
    written_s = file.stat().st_mtime + apart_s
    os.utime(file, (written_s, written_s))
    found = clock(joined.home, IdentityStore(joined.home).load(PeerRole.NODE))
    assert found.verdict is verdict
    assert side in found.what
