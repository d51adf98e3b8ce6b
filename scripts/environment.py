"""This clone's ``.venv``, and the stamps that say which parts of it are whole."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from mesh.engine_build.chosen import STAMPS

FIT = "import pip, sys; sys.exit(sys.version_info < (3, 11))"


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment that its clone's setup fills."""

    root: Path  # of the clone

    @property
    def folder(self) -> Path:
        return self.root / ".venv"

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def pip(self) -> list[str]:
        """The command that calls this environment's own pip."""
        return [str(self.python), "-m", "pip"]

    @property
    def origin(self) -> str:
        """What no environment survives a change of: its scripts name the folder and the Python."""
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        return f"Python {version} in {self.root}"

    def stamp_of(self, part: str) -> str | None:
        """Return the digest that ``part`` was finished with, None where it is not whole."""
        return self._stamps().get(part) if self.python.exists() else None

    def stamp(self, part: str, digest: str) -> None:
        """Record that ``part`` is whole."""
        self._write(self._stamps() | {part: digest})

    def unstamp(self, part: str) -> None:
        """Record that ``part`` is about to change, so that an interruption leaves it to do."""
        stamps = self._stamps()
        if stamps.pop(part, None) is not None:
            self._write(stamps)

    def is_adoptable(self) -> bool:
        """Return whether there is a sound environment that no setup has touched yet."""
        if self._file.exists() or not self.python.exists():
            return False
        probe = subprocess.run([str(self.python), "-c", FIT], capture_output=True, check=False)
        return probe.returncode == 0

    @property
    def _file(self) -> Path:
        return self.folder / STAMPS

    def _stamps(self) -> dict[str, str]:
        try:
            found = json.loads(self._file.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return {}  # none yet, or half a file: everything is made again
        return {str(part): str(digest) for part, digest in found.items()}

    def _write(self, stamps: dict[str, str]) -> None:
        self._file.write_text(json.dumps(stamps, indent=2) + "\n", encoding="utf-8")


def pip_variables() -> dict[str, str]:
    """Return our variables without what would lead pip elsewhere, or let it stop to ask."""
    return dict(os.environ) | {
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INPUT": "1",
        "PIP_USER": "0",
        "PYTHONNOUSERSITE": "1",
    }
