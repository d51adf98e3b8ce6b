"""Whether deskmesh's ports are free, or ours already."""

import socket
from dataclasses import dataclass

import psutil

from mesh.doctor.finding import Finding, failed, ok
from mesh.home import Home
from mesh.settings import PortSettings

ASKED_WITHIN_S = 1.0
COORDINATORS, EVERYBODYS = ("mesh", "join"), ("local", "http")


@dataclass(frozen=True, slots=True)
class PortState:
    """One port of ours, and who listens on it on this machine."""

    name: str
    number: int
    taken: bool
    ours: bool


def ports(here: Home, settings: PortSettings) -> Finding:
    """Look at each port that this machine needs."""
    names = (*COORDINATORS, *EVERYBODYS) if here.authority.exists() else EVERYBODYS
    held = _held_by(_own_processes(here))
    states = []
    for name in names:
        number = int(getattr(settings, name))
        if number:  # 0: the system gives one that is free
            states.append(PortState(name, number, taken=_listens(number), ours=number in held))
    return judge_ports(states)


def judge_ports(states: list[PortState]) -> Finding:
    """Say which of them a stranger holds."""
    strange = [each for each in states if each.taken and not each.ours]
    if strange:
        said = ", ".join(f"{each.number} ({each.name})" for each in strange)
        mend = "; ".join(f"set ports.{each.name}" for each in strange)
        return failed("ports", f"another program holds {said}", f"stop it, or {mend}")
    said = ", ".join(f"{each.number} {'ours' if each.ours else 'free'}" for each in states)
    return ok("ports", said or "chosen by the system")


def _listens(number: int) -> bool:
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        try:
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.settimeout(ASKED_WITHIN_S)
                if probe.connect_ex((host, number)) == 0:
                    return True
        except OSError:
            continue  # no such family here
    return False


def _own_processes(here: Home) -> list[int]:
    """Return the processes that run from this home, by what they wrote into their locks."""
    found = []
    for name in ("node", "coordinator"):
        try:
            text = (here.root / f"{name}.lock").read_text(encoding="ascii", errors="replace")
        except OSError:
            continue
        if text.isdigit() and len(text) < 12:
            found.append(int(text))
    return found


def _held_by(processes: list[int]) -> set[int]:
    held: set[int] = set()
    for pid in processes:
        try:
            connections = psutil.Process(pid).net_connections("tcp")
        except (psutil.Error, OSError):
            continue  # gone, or another user's
        held |= {each.laddr.port for each in connections if each.status == psutil.CONN_LISTEN}
    return held
