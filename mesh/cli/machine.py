"""What this machine can do, and how its user reached us."""

import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

from mesh.errors import Unsupported


def require_engine() -> None:
    """Raises Unsupported where no model can run, before anything is started for nothing."""
    if find_spec("llama_cpp") is None:
        raise Unsupported(
            "this installation has no engine, so this machine cannot run models",
            hint="pip install 'deskmesh[node]'; or only coordinate, with `deskmesh coordinator`",
        )


def this_command() -> str:
    """Return what to type for ``deskmesh`` here: its path where it is not on the PATH."""
    if shutil.which("deskmesh") is not None:
        return "deskmesh"
    script = Path(sys.executable).with_name("deskmesh")
    if not script.exists():
        return f"{sys.executable} -m mesh.cli.entry"
    here = Path.cwd()
    return str(script.relative_to(here)) if script.is_relative_to(here) else str(script)
