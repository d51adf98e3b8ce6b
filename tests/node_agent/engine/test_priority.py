"""The engine steps back behind the owner's work, in whichever session that is."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from mesh.settings import NodeSettings
from node_agent.engine.arguments import NICENESS
from node_agent.engine.supervisor import EngineProcess

_AUTOGROUP = Path("/proc/self/autogroup")
autogroups = pytest.mark.skipif(not _AUTOGROUP.exists(), reason="the kernel has no autogroups")


def autogroup_of(pid: int | str) -> str:
    return Path(f"/proc/{pid}/autogroup").read_text()


@autogroups
async def test_an_engine_is_nice_among_processes_and_among_sessions(random_model: Path) -> None:
    ours = autogroup_of("self")
    engine = await EngineProcess.start(random_model, context_tokens=64, threads=1, niceness=7)
    try:
        assert psutil.Process(engine.pid).nice() == min(19, psutil.Process().nice() + 7)
        assert autogroup_of(engine.pid).endswith(" nice 7\n")
        assert autogroup_of("self") == ours
    finally:
        await engine.close()


def test_the_setting_and_the_engine_agree() -> None:
    assert NodeSettings().niceness == NICENESS


@autogroups
def test_a_session_of_others_is_left_as_it_is() -> None:
    """A process that does not lead its session shares it with whoever started it."""
    before = autogroup_of("self")
    code = "from mesh.platforms.here import HERE; HERE.step_back(7)"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert autogroup_of("self") == before
