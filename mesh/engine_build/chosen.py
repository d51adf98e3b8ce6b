"""What `deskmesh engine install` put into a clone's environment, so that `make` leaves it there.

`make` stamps each part of ``.venv`` that is whole in one file. The stamp of the engine is the key
of its build, and beside it stands which engine was chosen: a new version of deskmesh is then set
up with that engine again. Setups run this before anything is installed: standard library only.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STAMPS = "deskmesh-setup.json"
_ENGINE, _CHOSEN = "engine", "engine chosen"


@dataclass(frozen=True, slots=True)
class ChosenEngine:
    """What somebody chose to compute on."""

    backend: str
    cmake_args: tuple[str, ...]
    gpus: tuple[str, ...] = ()  # the names of those that it is built for


def chosen_engine(environment: Path) -> ChosenEngine | None:
    """Return what was chosen for this environment; None where nothing was, or it is unreadable."""
    return _read(_stamps(environment).get(_CHOSEN))


def engine_changes(environment: Path) -> None:
    """Its engine is about to change: an interruption leaves it for `make` to mend."""
    stamps = _stamps(environment)
    if stamps.pop(_ENGINE, None) is not None:
        _write(environment, stamps)


def engine_changed(environment: Path, key: str, chosen: ChosenEngine) -> None:
    """Record which engine it has now. Without effect where no setup of a clone made it."""
    stamps = _stamps(environment)
    if not stamps:
        return
    said = {"backend": chosen.backend, "cmake_args": chosen.cmake_args, "gpus": chosen.gpus}
    _write(environment, stamps | {_ENGINE: key, _CHOSEN: json.dumps(said)})


def _read(said: Any) -> ChosenEngine | None:
    try:
        found = json.loads(said)
        backend, cmake_args, gpus = found["backend"], found["cmake_args"], found["gpus"]
    except (TypeError, ValueError, KeyError):
        return None
    if not all(isinstance(each, str) for each in (backend, *cmake_args, *gpus)):
        return None
    return ChosenEngine(backend, tuple(cmake_args), tuple(gpus))


def _stamps(environment: Path) -> dict[str, Any]:
    try:
        found = json.loads((environment / STAMPS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(environment: Path, stamps: dict[str, Any]) -> None:
    text = json.dumps(stamps, indent=2) + "\n"
    (environment / STAMPS).write_text(text, encoding="utf-8")
