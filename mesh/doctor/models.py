"""Model files, as the node's own library finds them, in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

import mesh
from mesh.doctor.finding import Finding, failed, ok, warning

MODULE = "node_agent.library.looking"
LOOKS_WITHIN_S = 30.0  # a look takes milliseconds; a network drive that is away never answers


class ModelsFound(BaseModel):
    """What the child prints."""

    files: int = Field(ge=0)
    problems: tuple[str, ...] = Field(default=(), max_length=100)
    problems_count: int = Field(default=0, ge=0)
    folders: tuple[str, ...] = Field(default=(), max_length=1000)


def models(*, lends: bool) -> Finding:
    """Look into the model folders once."""
    root = str(Path(mesh.__file__).absolute().parents[1])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH", ""))))
    mend = "see whether a model folder is on a drive that is away"
    try:
        done = subprocess.run(  # noqa: S603 - our own module
            [sys.executable, "-m", MODULE],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=LOOKS_WITHIN_S,
            check=False,
            env={**os.environ, "PYTHONPATH": path},
        )
        found = ModelsFound.model_validate_json(done.stdout)
    except subprocess.TimeoutExpired:
        return failed("models", f"the folders do not answer within {LOOKS_WITHIN_S:.0f} s", mend)
    except (OSError, ValidationError):
        mend = f"run `python -m {MODULE}` to see why"
        return failed("models", "the process that looks for them gave no answer", mend)
    return judge_models(found, lends=lends)


def judge_models(found: ModelsFound, *, lends: bool) -> Finding:
    """Say what a node here would have to offer."""
    files = f"{found.files} model file{'' if found.files == 1 else 's'}"
    where = f" in {', '.join(found.folders[:3])}" if found.folders else ""
    if found.problems_count:
        what = f"{files}{where}; {found.problems_count} with a problem: {found.problems[0]}"
        return warning("models", what, "mend or remove it")
    if not found.files and lends:
        mend = "put a GGUF file into a model folder, or `deskmesh models add FILE`"
        return warning("models", "none found, so this node answers nothing", mend)
    return ok("models", f"{files}{where}")
