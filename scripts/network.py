"""A network of its own: a switch, and machines on it, each a network namespace of Linux.

The switch is a bridge in a namespace of its own; a machine's ``eth0`` is one end of a cable whose
other end is a port of the switch. Whatever is cut or blocked is done at the switch, so that the
machine notices as little of it as a real one would. Names carry this process's id: what a killed
run has left behind is removed at the next start.

Tests of hosts stand on it, and the demonstrations that need more than one machine.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

IP = shutil.which("ip") or ""
SWITCH = "switch"
NAMED = re.compile(r"dm-(\d+)-\d+-[a-z0-9]+")  # process, network, machine
NAMESPACES = Path("/run/netns")

_numbers = count(1)


def ip(*arguments: str) -> str:
    """Run the command ``ip`` and return what it prints."""
    done = subprocess.run([IP, *arguments], check=True, capture_output=True, text=True, timeout=10)
    return done.stdout


class Network:
    """Exists while its context is open; so do its machines, and what runs in them."""

    def __init__(self) -> None:
        self._prefix = f"dm-{os.getpid()}-{next(_numbers)}"
        self.switch = f"{self._prefix}-{SWITCH}"
        self._machines: list[str] = []  # a machine's port has its position as its number
        self._plugged: list[str] = []  # ports
        self._multicast = True
        self._cables: list[subprocess.Popen[bytes]] = []  # programs in the middle of some

    def __enter__(self) -> Self:
        remove_leftovers()
        self._namespace(self.switch)
        ip("-n", self.switch, "link", "add", "br0", "type", "bridge")
        ip("-n", self.switch, "link", "set", "br0", "up")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for cable in self._cables:
            with cable:  # which closes its pipe, and waits
                cable.kill()
        _remove([*self._machines, self.switch])

    def machine(self, name: str) -> str:
        """Make a machine that is not plugged in, and return its namespace."""
        namespace = f"{self._prefix}-{name}"
        assert NAMED.fullmatch(namespace), "a machine's name is letters and digits"
        self._namespace(namespace)
        self._machines.append(namespace)
        return namespace

    def plug(self, machine: str, address: str) -> None:
        """Join a machine to the switch. Its route to elsewhere leads, as yet, to nobody."""
        port = self._port(machine)
        ends = ("name", port, "netns", self.switch)
        ip("-n", machine, "link", "add", "eth0", "type", "veth", "peer", *ends)
        ip("-n", self.switch, "link", "set", port, "master", "br0", "up")
        self._plugged.append(port)
        self._carry_multicast(port)
        ip("-n", machine, "address", "add", f"{address}/24", "dev", "eth0")
        ip("-n", machine, "link", "set", "eth0", "up")
        ip("-n", machine, "route", "add", "default", "dev", "eth0")  # multicast takes it too

    def unplug(self, machine: str) -> None:
        """Pull the cable: the machine sees that it has no link. Nothing is reset."""
        ip("-n", self.switch, "link", "set", self._port(machine), "down")

    def plug_again(self, machine: str) -> None:
        ip("-n", self.switch, "link", "set", self._port(machine), "up")

    def silence(self, machine: str) -> None:
        """Drop every packet from and to a machine, whose link seems as good as before."""
        ip("-n", self.switch, "link", "set", self._port(machine), "nomaster")

    def end_silence(self, machine: str) -> None:
        ip("-n", self.switch, "link", "set", self._port(machine), "master", "br0")
        self._carry_multicast(self._port(machine))  # a port that comes back begins anew

    def worsen(self, machine: str, *, delay_ms: float, jitter_ms: float, loss: float) -> None:
        """Carry a machine's frames late and lose a share of them, each way, from now on."""
        port = self._port(machine)
        outer, inner = f"{port}o", f"{port}i"
        ip("-n", self.switch, "link", "set", port, "nomaster")
        ip("-n", self.switch, "link", "add", outer, "type", "veth", "peer", "name", inner)
        ip("-n", self.switch, "link", "set", outer, "master", "br0", "up")
        ip("-n", self.switch, "link", "set", inner, "up")
        self._carry_multicast(outer)
        program = (sys.executable, "-m", "scripts.slow_cable")
        for namespace, name in ((machine, "eth0"), (self.switch, outer)):
            subprocess.run([*inside(namespace), *program, "plain", name], check=True, timeout=30)
        how = ("--delay-ms", str(delay_ms), "--jitter-ms", str(jitter_ms), "--loss", str(loss))
        cable = subprocess.Popen(
            [*inside(self.switch), *program, "carry", port, inner, *how], stdout=subprocess.PIPE
        )
        assert cable.stdout is not None
        assert cable.stdout.readline() == b"carrying\n"
        self._cables.append(cable)

    def mute(self, machine: str) -> None:
        """Lose what a machine sends; what is sent to it arrives. `hear_again` ends it.

        Raises:
            subprocess.CalledProcessError: this kernel's bridges (before 5.18) cannot.
        """
        self._port_is(machine, "locked", "on", "learning", "off", "fdb_flush")

    def hear_again(self, machine: str) -> None:
        self._port_is(machine, "locked", "off", "learning", "on")

    def deafen(self, machine: str) -> None:
        """Lose what is sent to a machine; what it sends arrives. `speak_to_again` ends it."""
        self._port_is(machine, "learning", "off", *self._floods("off"), "fdb_flush")

    def speak_to_again(self, machine: str) -> None:
        self._port_is(machine, "learning", "on", *self._floods("on"))
        self._carry_multicast(self._port(machine))

    def block_multicast(self) -> None:
        """Carry no multicast from anybody to anybody, as many a Wi-Fi does."""
        self._multicast = False
        for port in self._plugged:
            self._carry_multicast(port)

    def allow_multicast(self) -> None:
        self._multicast = True
        for port in self._plugged:
            self._carry_multicast(port)

    def _carry_multicast(self, port: str) -> None:
        flood = ("type", "bridge_slave", "mcast_flood", "on" if self._multicast else "off")
        ip("-n", self.switch, "link", "set", port, *flood)

    def _port_is(self, machine: str, *options: str) -> None:
        port = self._port(machine)
        ip("-n", self.switch, "link", "set", port, "type", "bridge_slave", *options)

    @staticmethod
    def _floods(state: str) -> tuple[str, ...]:
        return ("flood", state, "bcast_flood", state, "mcast_flood", state)

    def _port(self, machine: str) -> str:
        return f"p{self._machines.index(machine)}"

    def _namespace(self, name: str) -> None:
        ip("netns", "add", name)
        ip("-n", name, "link", "set", "lo", "up")


def inside(namespace: str) -> tuple[str, ...]:
    """Return the command that runs another one in a namespace; its process is that one's."""
    return (IP, "netns", "exec", namespace)


def remove_leftovers() -> None:
    """Remove the namespaces of runs that are gone, and end what still runs in them."""
    if NAMESPACES.is_dir():
        matches = (NAMED.fullmatch(each.name) for each in NAMESPACES.iterdir())
        _remove(each.string for each in matches if each and not psutil.pid_exists(int(each[1])))


def _remove(namespaces: Iterable[str]) -> None:
    for name in namespaces:
        with suppress(subprocess.CalledProcessError):  # another run was faster, or it never was
            for process in ip("netns", "pids", name).split():
                with suppress(ProcessLookupError):
                    os.kill(int(process), signal.SIGKILL)
            ip("netns", "delete", name)


@cache
def why_not() -> str:
    """Return why machines cannot be made here, "" if they can."""
    if not IP:
        return "needs Linux and its command ip (package iproute2)"
    if os.geteuid() != 0:
        return "needs root, for network namespaces"
    try:
        with Network() as network:
            network.plug(network.machine("probe"), "10.77.0.1")
    except subprocess.CalledProcessError as failure:
        return f"network namespaces are refused here: {failure.stderr.strip()}"
    return ""
