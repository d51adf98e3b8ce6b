"""Fetches a model: its file, or all its parts, as one download with one size and one end.

Parts come one after the other, each with its own checkpoints and its own sha256, so that whatever
ends the process, or turns out wrong, costs a second of one part. None is given away before all are
here and right.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mesh.errors import InvalidRequest
from mesh.pulling.begun import Begun
from mesh.pulling.download import Fetched, fetch
from mesh.pulling.pace import Pace
from mesh.pulling.sizing import sized
from mesh.pulling.wanted import Wanted
from mesh.pulling.watcher import Watcher


@dataclass(frozen=True, slots=True)
class FetchedModel:
    """A whole model that is what it should be, still where nobody looks."""

    files: tuple[Path, ...]  # in order
    sha256: str  # of all bytes one after the other: its identity
    size_bytes: int
    resumed_bytes: int  # were here before


@dataclass(frozen=True, slots=True)
class _OfAll:
    """Tells of one part as of a piece of the whole."""

    watcher: Watcher
    before_bytes: int
    total_bytes: int | None  # None: it is the only one, and its server tells

    def progressed(self, done_bytes: int, size_bytes: int) -> None:
        self.watcher.progressed(self.before_bytes + done_bytes, self.total_bytes or size_bytes)

    def said(self, line: str) -> None:
        self.watcher.said(line)


def fetch_model(  # noqa: PLR0913 - a model, where it goes, who is told, and time in tests
    wanted: Wanted,
    folder: Path,
    watcher: Watcher,
    *,
    pace: Pace | None = None,
    wait: Callable[[float], None] = time.sleep,
    on_size: Callable[[int], None] = lambda _: None,
) -> FetchedModel:
    """Fetch ``wanted`` into hidden files of ``folder``. The caller holds the lock of its name.

    Args:
        on_size: called with the size of all in bytes before the first of them comes; may raise.

    Raises:
        MeshError: says what, why and what to do; what is here already and right stays.
    """
    pace = pace or Pace()
    begun = Begun(folder, wanted.name)
    if wanted.is_split:
        wanted = sized(wanted, watcher, pace, wait)
        assert wanted.size_bytes is not None, "every part was asked"
        on_size(wanted.size_bytes)
        begun.keep_only(wanted)
        on_size = _told_already
    fetched: list[Fetched] = []
    for part, partial in zip(wanted.parts, begun.partials(wanted), strict=True):
        of_all = _OfAll(watcher, sum(each.size_bytes for each in fetched), wanted.size_bytes)
        before = fetched[-1].so_far if fetched else None
        fetched.append(
            fetch(part, partial, of_all, before=before, pace=pace, wait=wait, on_size=on_size)
        )
    model = _joined(fetched)
    if wanted.sha256 not in ("", model.sha256):
        begun.remove()
        raise _another(wanted, model)
    return model


def _told_already(size_bytes: int) -> None:
    """That of a part is a piece of what was told."""


def _joined(parts: list[Fetched]) -> FetchedModel:
    return FetchedModel(
        files=tuple(each.file for each in parts),
        sha256=parts[-1].so_far.hexdigest(),
        size_bytes=sum(each.size_bytes for each in parts),
        resumed_bytes=sum(each.resumed_bytes for each in parts),
    )


def _another(wanted: Wanted, model: FetchedModel) -> InvalidRequest:
    return InvalidRequest(
        f"{wanted.origin}: the sha256 of its {len(model.files)} parts is {model.sha256[:16]}…,"
        f" and should be {wanted.sha256[:16]}…",
        hint="what came was thrown away: that of a model in parts is that of all bytes in order",
    )
