"""Machines that have no engine, and environments in which nothing can be compiled."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.whole.machine import ROOT

# What the extra `node` brings. It takes the place of the finder of installed packages.
_HIDE = '''\
"""Hides what the extra `node` brings from every Python that has this folder on its path."""
import sys
from importlib.machinery import PathFinder

class Others(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.partition(".")[0] in ("llama_cpp", "llguidance", "gguf"):
            return None
        return super().find_spec(name, path, target)

sys.meta_path[:] = [Others if each is PathFinder else each for each in sys.meta_path]
'''
INSTALL_WITHIN_S = 600.0


def hiding_the_engine(folder: Path) -> str:
    """Return a PYTHONPATH under which this very environment has no engine."""
    folder.mkdir(parents=True)
    (folder / "sitecustomize.py").write_text(_HIDE, encoding="utf-8")
    return os.pathsep.join((str(folder), str(ROOT)))


def built_wheel(folder: Path) -> Path:
    """Build the project's wheel with the build backend that this environment has."""
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(folder)]
    command = [sys.executable, "-m", "pip", "wheel", *options, str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = folder.glob("deskmesh-*.whl")
    return wheel


@dataclass(frozen=True, slots=True)
class CleanEnvironment:
    """A new virtual environment, with programs of no other folder on its PATH."""

    folder: Path

    @classmethod
    def make(cls, folder: Path) -> "CleanEnvironment":
        """Make one, or skip the test where no package index can be reached."""
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        made = cls(folder)
        probe = made.pip("download", "--no-deps", "--dest", str(folder / "probe"), "platformdirs")
        if probe.returncode != 0:
            pytest.skip("no package index can be reached, so nothing can be installed")
        return made

    @property
    def variables(self) -> Mapping[str, str]:
        """No compiler on the PATH, and those that are named do not exist."""
        nowhere = str(self.folder / "no-compiler")
        return {"PATH": str(self.folder / "bin"), "CC": nowhere, "CXX": nowhere, "PYTHONPATH": ""}

    def pip(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run its pip."""
        return subprocess.run(
            [str(self.folder / "bin" / "python"), "-m", "pip", *arguments],
            env={**os.environ, **self.variables},
            capture_output=True,
            text=True,
            timeout=INSTALL_WITHIN_S,
            check=False,
        )

    def install(self, *arguments: str) -> None:
        """Install wheels alone: an sdist would be compiled, and there is nothing to do it with."""
        done = self.pip("install", "--only-binary", ":all:", *arguments)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]

    @property
    def deskmesh(self) -> str:
        return str(self.folder / "bin" / "deskmesh")
