"""Linux: autogroups, parent-death signals, XDG folders, and services of systemd's."""

import ctypes
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path

from mesh.platforms.platform import Elsewhere
from mesh.platforms.posix import PosixFiles, PosixLimits, PosixSignals
from mesh.platforms.service import LABEL, Service, ServiceSteps, Step

_AUTOGROUP = Path("/proc/self/autogroup")
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_UNIT = f"{LABEL}.service"
_USERS_SYSTEMD = ("systemctl", "--user")


class Linux(PosixFiles, PosixSignals, PosixLimits):
    """See ``Platform``."""

    name = "Linux"

    def llama_cpp_cache(self, user: Path, environment: Mapping[str, str]) -> Path:
        return Path(environment.get("XDG_CACHE_HOME") or user / ".cache") / "llama.cpp"

    def step_back(self, niceness: int) -> None:
        """Against all that runs on the machine.

        Linux shares processors among sessions first, where autogroups are on, as most desktops have
        them: there a nice process still gets as much as the owner's whole session (measured: half
        of each core beside a busy program). So our session, where it holds nothing else, steps back
        as well.
        """
        if sys.platform == "win32":
            raise Elsewhere
        super().step_back(niceness)
        if os.getsid(0) == os.getpid():
            with suppress(OSError):  # no such thing here, or not for us
                _AUTOGROUP.write_text(str(niceness))

    def step_far_back(self) -> None:
        if sys.platform != "linux":
            raise Elsewhere
        import psutil

        super().step_back(19)
        psutil.Process().ionice(psutil.IOPRIO_CLASS_IDLE)

    async def hear_sleep(
        self, sleeps: Callable[[], Awaitable[None]], wakes: Callable[[], None]
    ) -> str:
        from mesh.platforms.logind import announced_sleep  # late: agents alone ask for it

        return await announced_sleep(sleeps, wakes)

    def end_with_parent(self) -> None:
        if sys.platform == "win32":
            raise Elsewhere
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    def service(self, service: Service) -> ServiceSteps:
        """A unit of the owner's own systemd; see systemd.service(5), systemd.exec(5)."""
        folder = Path(service.caller.get("XDG_CONFIG_HOME") or service.user / ".config")
        return ServiceSteps(
            file=folder / "systemd" / "user" / _UNIT,
            text=_unit(service),
            install=(
                Step((*_USERS_SYSTEMD, "daemon-reload")),
                Step((*_USERS_SYSTEMD, "enable", _UNIT)),
                Step((*_USERS_SYSTEMD, "restart", _UNIT)),  # also one that ran an older file
            ),
            remove=(Step((*_USERS_SYSTEMD, "disable", "--now", _UNIT), may_fail=True),),
            status=Step((*_USERS_SYSTEMD, "is-active", "--quiet", _UNIT)),
            log_hint=f"journalctl --user -u {LABEL}",
            note="it runs while you are logged in; `loginctl enable-linger` has it run always",
        )


def _unit(service: Service) -> str:
    program, *words = map(_quoted, service.command)
    # Variables are replaced in what follows the program, and not in its path.
    command = " ".join([program, *(word.replace("$", "$$") for word in words)])
    variables = "".join(
        f"Environment={_quoted(f'{name}={value}')}\n" for name, value in service.environment.items()
    )
    return (
        "[Unit]\n"
        "Description=deskmesh lends this machine's models to its mesh\n"
        "StartLimitIntervalSec=0\n"  # a network that is away all night is no reason to give up
        "\n"
        "[Service]\n"
        f"ExecStart={command}\n"
        f"{variables}"
        "Restart=on-failure\n"
        "RestartSec=5\n"
        "TimeoutStopSec=20\n"  # answers get 5 s to end, engines 2
        "\n"
        "[Install]\n"
        "WantedBy=default.target\n"
    )


def _quoted(word: str) -> str:
    """Return a word as a unit file takes it; ``%`` stands for itself."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'
