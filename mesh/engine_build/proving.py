"""Loads an engine that is not installed yet, so that one which does not work replaces none."""

import zipfile
from pathlib import Path

from mesh.engine_build.plan import Backend
from mesh.errors import InvalidRequest
from mesh.installed_engine import InstalledEngine, installed_engine


def loaded(wheel: Path, folder: Path) -> InstalledEngine:
    """Unpack the wheel into ``folder``, load its library in a child, and return what it says.

    Raises:
        InvalidRequest: it does not load.
    """
    try:
        with zipfile.ZipFile(wheel) as packed:
            packed.extractall(folder)
    except (OSError, zipfile.BadZipFile) as failure:
        raise InvalidRequest(f"the wheel that was built cannot be read: {failure}") from None
    engine = installed_engine(before=folder)
    if engine.error:
        raise InvalidRequest(
            f"the engine was built and does not load: {engine.error}",
            hint="the engine that was there is as it was",
        )
    return engine


def check_gpu(engine: InstalledEngine, backend: Backend) -> None:
    """Raises InvalidRequest: it computes on no GPU though it was built for one."""
    if backend is not Backend.CPU and not engine.gpus:
        raise InvalidRequest(
            f"the engine was built for {backend} and finds no GPU",
            hint="see to its driver (`deskmesh engine show`); the engine that was there stays",
        )
