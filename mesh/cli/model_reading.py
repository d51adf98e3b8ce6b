"""What is in a model file, as the reader child says: it alone parses them, and may die of one."""

import contextlib
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

import mesh
from mesh.core.types import ModelIdentity
from mesh.errors import InternalError, InvalidRequest

READER = "node_agent.library.describe"
MEMORY_BYTES = 512 << 20  # as the agent grants it: 13 times what a large vocabulary needs
LINE_BYTES_MAX = 64 << 10
IMPORT_ROOT = Path(mesh.__file__).absolute().parent.parent  # `-m` looks where it runs, first of all


class ReadModel(BaseModel):
    """The facts of one model file. What else the child says of it is not asked for here."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size_bytes: int
    architecture: str
    parameters: int
    quantisation: str
    context_tokens: int
    template_sha256: str | None
    embeds: bool = False
    test: bool = False
    domains: tuple[str, ...] = ()

    @property
    def model_id(self) -> str:
        return ModelIdentity(self.sha256, self.template_sha256 or "", self.quantisation).model_id


class _Rejection(BaseModel):
    reason: str


class _Line(BaseModel):
    progress_bytes: int | None = None
    description: ReadModel | None = None
    rejection: _Rejection | None = None


def read_model(paths: Sequence[Path], on_progress: Callable[[int], None]) -> ReadModel:
    """Read a model whole; calls ``on_progress`` with the bytes read so far.

    Args:
        paths: absolute; its file, or its parts in order.

    Raises:
        InvalidRequest: it is no model that can be served; says why.
        InternalError: the reader died.
    """
    path = paths[0]
    command = [sys.executable, "-m", READER, "--memory-bytes", str(MEMORY_BYTES), "--"]
    command += map(str, paths)
    with subprocess.Popen(  # noqa: S603 - our own module, and each file is one argument
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=IMPORT_ROOT,
    ) as child:
        try:
            said = _answer(child, on_progress)
        finally:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
    if said.description is not None:
        return said.description
    if said.rejection is not None:
        raise InvalidRequest(f"{path}: {said.rejection.reason}")
    raise InternalError(
        f"the process that read {path} died", hint=f"run `python -m {READER} FILE` to see why"
    )


def _answer(child: "subprocess.Popen[bytes]", on_progress: Callable[[int], None]) -> _Line:
    """Return the line that is no progress; an empty one if there is none."""
    assert child.stdout is not None
    while raw := child.stdout.readline(LINE_BYTES_MAX):
        try:
            line = _Line.model_validate_json(raw)
        except ValidationError:
            break
        if line.progress_bytes is None:
            return line
        on_progress(line.progress_bytes)
    return _Line()
