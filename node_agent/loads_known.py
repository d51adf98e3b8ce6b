"""What loads of each model took here, on disk, so that a restart forgets none of it.

Kept by the model's identity for one build of the engine: another one takes other buffers, so all of
it is learned anew. Losing it costs an estimate and nothing else: whatever is wrong with the file,
it is made again.
"""

import hashlib
import json
import logging
import os
import threading
from importlib import metadata
from pathlib import Path

from pydantic import Field

from mesh.core.types import ModelId
from node_agent.engine import gpu_layers
from node_agent.library.description import Checked
from node_agent.reckoning import OFF_MAX, OFF_MIN

MODELS_MAX = 1_024  # far more than a machine loads; losing one costs one estimate
FILE_BYTES_MAX = 1 << 20  # so many models take a fifth of it; a larger file is not ours

_log = logging.getLogger(__name__)


class LoadKnown(Checked):
    """Of one model."""

    off: float = Field(ge=OFF_MIN, le=OFF_MAX)  # what its process took, of what was foretold
    gpu_off: float = Field(ge=gpu_layers.OFF_MIN, le=gpu_layers.OFF_MAX)  # and of a GPU
    load_s: float = Field(ge=0, le=86_400)  # seconds the last load took


class _Content(Checked):
    build: str
    models: dict[ModelId, LoadKnown] = Field(max_length=MODELS_MAX)


class LoadsKnown:
    """All of it, those learned last at the end.

    Args:
        file: where it lasts; None: in this process alone.
        build: of the engine that loads.
    """

    def __init__(self, file: Path | None = None, build: str = "") -> None:
        self._file = file
        self._build = build
        self._models = _read(file, build) if file is not None else {}
        self._writing = threading.Lock()
        self._failing = False  # one line for a full disk, not one for each load

    def of(self, model_id: ModelId) -> LoadKnown | None:
        return self._models.get(model_id)

    def learn(self, model_id: ModelId, known: LoadKnown) -> bool:
        """Take in what a load took; return whether that is worth writing."""
        if self._models.get(model_id) == known:
            return False
        self._models.pop(model_id, None)
        self._models[model_id] = known
        while len(self._models) > MODELS_MAX:
            del self._models[next(iter(self._models))]
        return self._file is not None

    def as_text(self) -> str:
        """Return all of it, for ``write``: that runs in another thread."""
        content = _Content(build=self._build, models=self._models)
        return content.model_dump_json()

    def write(self, text: str) -> None:
        """Replace the file as a whole. Blocking. A failure is logged once."""
        assert self._file is not None, "nothing is worth writing without a file"
        beside = self._file.with_name(f"{self._file.name}.{os.getpid()}.tmp")
        try:
            with self._writing:
                self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                beside.write_text(text, encoding="utf-8")
                beside.replace(self._file)
        except OSError as failure:
            if not self._failing:
                _log.warning("cannot keep what loads took in %s: %s", self._file, failure.strerror)
            self._failing = True
        else:
            self._failing = False


def engine_build() -> str:
    """Return what tells one build of the engine from another: a digest of its files' digests."""
    try:
        record = metadata.distribution("llama-cpp-python").read_text("RECORD") or ""
    except metadata.PackageNotFoundError:
        return ""
    return hashlib.sha256(record.encode()).hexdigest()[:16]


def _read(file: Path, build: str) -> dict[ModelId, LoadKnown]:
    try:
        with file.open("rb") as opened:
            raw = opened.read(FILE_BYTES_MAX + 1)
        if len(raw) > FILE_BYTES_MAX:
            raise ValueError("it is too large")
        content = _Content.model_validate(json.loads(raw))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError):
        _log.warning("%s is unusable; what loads take is learned again", file)
        return {}
    return dict(content.models) if content.build == build else {}
