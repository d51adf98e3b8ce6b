"""The test model that comes with deskmesh, so that a fresh machine without weights can answer."""

from dataclasses import dataclass
from pathlib import Path

import node_agent
from node_agent.library.found import Findings, LibraryProblem, found_file

BUNDLED_NAME = "test-tiny"


def bundled_model() -> Path | None:
    """Return the bundled model's file: a wheel's own, or a source checkout's; None without one."""
    package = Path(node_agent.__file__).absolute().parent
    file_name = f"{BUNDLED_NAME}.gguf"
    places = (package / "bundled" / file_name, package.parent / "models" / file_name)
    return next((place for place in places if place.is_file()), None)


@dataclass(frozen=True, slots=True)
class BundledSource:
    """The bundled test model, if there is one."""

    def find(self) -> Findings:
        """Look for the one file."""
        path = bundled_model()
        if path is None:
            return Findings()
        try:
            return Findings(files=(found_file(path, names=(BUNDLED_NAME,)),))
        except OSError as failure:
            why = (failure.strerror or type(failure).__name__).lower()
            reason = f"the bundled test model cannot be read: {why}; install deskmesh again"
            return Findings(problems=(LibraryProblem(path, reason),))
