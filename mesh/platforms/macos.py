"""macOS: folders in ~/Library, and agents of launchd's."""

import plistlib
from collections.abc import Mapping
from pathlib import Path

from mesh.platforms.posix import PosixFiles, PosixLimits, PosixSignals
from mesh.platforms.service import LABEL, Service, ServiceSteps, Step

_LABEL = f"local.{LABEL}"
_RESTART_AFTER_S = 5


class MacOS(PosixFiles, PosixSignals, PosixLimits):
    """See ``Platform``."""

    name = "macOS"

    def llama_cpp_cache(self, user: Path, environment: Mapping[str, str]) -> Path:
        return user / "Library" / "Caches" / "llama.cpp"

    def service(self, service: Service) -> ServiceSteps:
        """An agent of the owner's session; see launchd.plist(5) and launchctl(1)."""
        file = service.user / "Library" / "LaunchAgents" / f"{_LABEL}.plist"
        session = f"gui/{service.user_id}"
        agent = {
            "Label": _LABEL,
            "ProgramArguments": list(service.command),
            "EnvironmentVariables": dict(service.environment),
            "RunAtLoad": True,
            "KeepAlive": {"SuccessfulExit": False},
            "ThrottleInterval": _RESTART_AFTER_S,
            "ProcessType": "Interactive",  # else it may be slowed down; engines step back
            "StandardOutPath": str(service.log),
            "StandardErrorPath": str(service.log),
        }
        return ServiceSteps(
            file=file,
            text=plistlib.dumps(agent, sort_keys=False).decode(),
            install=(
                Step(("launchctl", "bootout", f"{session}/{_LABEL}"), may_fail=True),
                Step(("launchctl", "bootstrap", session, str(file))),
            ),
            remove=(Step(("launchctl", "bootout", f"{session}/{_LABEL}"), may_fail=True),),
            status=Step(("launchctl", "print", f"{session}/{_LABEL}")),
            log_hint=f"tail -f '{service.log}'",
            note=(
                "if it finds no machine (errno 65), allow it in System Settings, Privacy &"
                " Security, Local Network"
            ),
        )
