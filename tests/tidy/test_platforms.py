"""Types as Python has them on other platforms: what is missing there is found without them."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("mesh", "node_agent", "coordinator")


@pytest.mark.long  # it checks everything anew
@pytest.mark.parametrize("system", ["win32", "darwin"])
def test_nothing_is_used_that_the_platform_lacks(system: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--platform", system, "--cache-dir", tmp_path, *PACKAGES],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
