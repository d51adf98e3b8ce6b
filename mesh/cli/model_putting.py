"""Puts a model file into this machine's own folder: whole, or not at all.

The file gets there by a hard link, or as a copy where there can be none. It takes its name only
once it is whole and its note lies beside it, so that a node never sees it without its note.
"""

import contextlib
import errno
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from mesh.errors import InvalidRequest
from mesh.identity.files import NOT_OURS, OPEN_HOME
from mesh.model_note import MODEL_SUFFIX, BrokenNote, ModelNote, note_of, read_note
from mesh.own_folder import OwnModel
from mesh.pulling.partial import sha256_of

BLOCK_BYTES = 8 << 20
SPARE_BYTES = 64 << 20  # left on the disk for everybody else
LINKED, COPIED, THERE = "linked", "copied", "there already"
# Another disk, a file system without links, somebody else's file, too many links: then it's copied.
_NO_LINK = frozenset(
    {errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.ENOTSUP, errno.EOPNOTSUPP}
)


def put(  # noqa: PLR0913 - a file, where it goes, and what is known of it
    source: Path,
    folder: Path,
    name: str,
    note: ModelNote,
    *,
    sha256: str,
    on_progress: Callable[[int], None],
) -> str:
    """Put ``source`` into ``folder`` as NAME.gguf with its note; return how.

    Args:
        sha256: of the source, 64 hex digits.
        on_progress: called with the bytes copied or compared so far.

    Raises:
        InvalidRequest: the name is other weights', the disk is full, or it cannot be written.
    """
    target = folder / f"{name}{MODEL_SUFFIX}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if target.exists():
            _check_same(source, target, sha256, on_progress)
            write_note(_with_origin(note, target), target)
            return THERE
        return _put_new(source, target, note, sha256, on_progress)
    except OSError as failure:
        raise in_words(failure, folder) from None


def take_over(part: Path, folder: Path, name: str, note: ModelNote) -> Path:
    """Give a whole file in ``folder``, under a hidden name so far, its name and its note.

    Raises:
        InvalidRequest: the name is another file's, or it cannot be written.
    """
    target = folder / f"{name}{MODEL_SUFFIX}"
    try:
        if target.exists():
            raise taken(target)
        write_note(note, target)
        try:
            os.link(part, target)  # unlike a rename, it never takes another file's place
            part.unlink()
        except OSError as failure:
            if failure.errno not in _NO_LINK:
                raise
            part.rename(target)
        sync(folder)
    except OSError as failure:
        raise in_words(failure, folder) from None
    finally:
        if not target.exists():
            note_of(target).unlink(missing_ok=True)
    return target


def take_away(model: OwnModel) -> Path:
    """Remove the files of a model that ``put`` has put there, and return the first.

    Raises:
        InvalidRequest: it cannot be removed.
    """
    try:
        for file in model.files:
            file.unlink()
        model.note.unlink(missing_ok=True)
    except OSError as failure:
        raise in_words(failure, model.files[0].parent) from None
    return model.files[0]


def _put_new(
    source: Path, target: Path, note: ModelNote, sha256: str, on_progress: Callable[[int], None]
) -> str:
    """Prepare it under a hidden name, which no library looks at, and rename it."""
    beside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        how = LINKED
        try:
            os.link(source, beside)
        except OSError as failure:
            if failure.errno not in _NO_LINK:
                raise
            how = COPIED
            _copy(source, beside, sha256, on_progress)
        write_note(note, target)
        try:
            os.link(beside, target)  # unlike a rename, it never takes another file's place
        except FileExistsError:
            raise InvalidRequest(
                f"{target.stem} came into {target.parent} just now", hint="try again"
            ) from None
        except OSError as failure:
            if failure.errno not in _NO_LINK:
                raise
            beside.rename(target)
    finally:
        beside.unlink(missing_ok=True)
        if not target.exists():
            note_of(target).unlink(missing_ok=True)
    return how


def sync(folder: Path) -> None:
    """Let a new name outlive a loss of power; not every system can sync a folder."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _copy(source: Path, beside: Path, sha256: str, on_progress: Callable[[int], None]) -> None:
    size_bytes = source.stat().st_size
    free_bytes = shutil.disk_usage(beside.parent).free
    if free_bytes < size_bytes + SPARE_BYTES:
        raise InvalidRequest(
            f"{beside.parent} has {free_bytes >> 20} MiB free, and the model takes"
            f" {size_bytes >> 20} MiB",
            hint="free some space, or name the model's own folder in node.model_folders",
        )
    digest, done_bytes = hashlib.sha256(), 0
    with source.open("rb") as reading, beside.open("xb") as writing:
        while block := reading.read(BLOCK_BYTES):
            writing.write(block)
            digest.update(block)
            done_bytes += len(block)
            on_progress(done_bytes)
        writing.flush()
        os.fsync(writing.fileno())
    if digest.hexdigest() != sha256:
        raise InvalidRequest(f"{source} changed while it was copied", hint="try again")


def _with_origin(note: ModelNote, target: Path) -> ModelNote:
    """Return ``note`` with where the weights that are there came from: it is as true as before."""
    try:
        known = read_note(note_of(target))
    except BrokenNote:  # or there is none
        return note
    return note.model_copy(update={"source": known.source, "licence": known.licence})


def _check_same(
    source: Path, target: Path, sha256: str, on_progress: Callable[[int], None]
) -> None:
    """The name may be taken by the very same weights."""
    if source.samefile(target):
        return
    if (
        source.stat().st_size == target.stat().st_size
        and sha256_of([target], on_progress) == sha256
    ):
        return
    raise taken(target)


def taken(target: Path) -> InvalidRequest:
    """Return what is said where a name is another model's."""
    return InvalidRequest(
        f"{target.stem} is the name of another model in {target.parent}",
        hint=f"give another --name, or `deskmesh models remove {target.stem}` first",
    )


def write_note(note: ModelNote, target: Path) -> None:
    """Put the note of a model file in the place of its last one, in one step."""
    path = note_of(target)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        beside.write_text(note.write(), encoding="utf-8")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def in_words(failure: OSError, folder: Path) -> InvalidRequest:
    """Return what a failure of the disk is called before people."""
    if failure.errno in {errno.ENOSPC, errno.EDQUOT}:
        return InvalidRequest(f"the disk of {folder} is full", hint="free some space")
    why = (failure.strerror or type(failure).__name__).lower()
    hint = OPEN_HOME if failure.errno in NOT_OURS else "mend it, and try again"
    return InvalidRequest(f"{failure.filename or folder}: {why}", hint=hint)
