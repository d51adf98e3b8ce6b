"""Which mesh this machine is of, whether its certificate holds, and whether its clock is right."""

import time
from pathlib import Path

from mesh.doctor.finding import Finding, failed, ok, warning
from mesh.errors import MeshError
from mesh.home import Home
from mesh.identity.certificates import BACKDATING
from mesh.identity.machine import MachineIdentity
from mesh.member import own_identity

# A certificate is backdated by 5 minutes: a clock that is further behind refuses a new one.
SKEW_S_MAX = BACKDATING.total_seconds()


def membership(here: Home) -> tuple[Finding, MachineIdentity | None]:
    """Read this machine's identity; None beside the finding where it has none."""
    try:
        identity = own_identity(here)
    except MeshError as failure:
        if not here.identity.exists():
            mend = "`deskmesh up` starts a mesh, `deskmesh join CODE` joins one"
            return warning("mesh", "this machine has joined no mesh", mend), None
        return failed("mesh", failure.message, failure.hint), None
    return judge_membership(identity, now_s=time.time()), identity


def judge_membership(identity: MachineIdentity, *, now_s: float) -> Finding:
    """Say whether others would believe this machine. ``now_s`` is Unix time."""
    who = f"mesh {identity.peer.mesh_id}, as {identity.peer.role}"
    if now_s < identity.valid_from_s:
        return failed(
            "mesh", f"{who}: its certificate is not valid yet by this clock", "set the clock right"
        )
    if now_s >= identity.expires_at_s:
        ago = _hours(now_s - identity.expires_at_s)
        mend = "it is renewed when a coordinator is reached; after 90 days join again"
        return warning("mesh", f"{who}: its certificate expired {ago} ago", mend)
    return ok("mesh", f"{who}; certificate valid for {_hours(identity.expires_at_s - now_s)}")


def clock(here: Home, identity: MachineIdentity) -> Finding:
    """Compare this clock with the coordinator's, as it was when it issued our certificate."""
    file = here.identity / identity.peer.role.value / "certificate.pem"
    try:
        written_s = Path(file).stat().st_mtime
    except OSError as failure:
        return warning("clock", f"{file}: {failure.strerror}", "join the mesh again")
    return judge_clock(identity.valid_from_s, written_s=written_s)


def judge_clock(valid_from_s: float, *, written_s: float) -> Finding:
    """Say how far the two clocks were apart.

    A certificate says from when it holds: the coordinator's time less ``BACKDATING``. Its file was
    written here within the second, by our clock. All Unix time. No more than a warning: a home that
    was copied has files of another time.
    """
    skew_s = written_s - (valid_from_s + BACKDATING.total_seconds())
    side = "ahead of" if skew_s > 0 else "behind"
    what = f"{_span(abs(skew_s))} {side} the coordinator's when our certificate was issued"
    if abs(skew_s) >= SKEW_S_MAX / 2:
        return warning("clock", what, "set both clocks by the network (NTP)")
    return ok("clock", what)


def _span(duration_s: float) -> str:
    return f"{duration_s:.0f} s" if duration_s < 120 else f"{duration_s / 60:.0f} min"


def _hours(duration_s: float) -> str:
    hours = duration_s / 3600
    return f"{hours / 24:.0f} days" if hours >= 48 else f"{hours:.1f} h"
