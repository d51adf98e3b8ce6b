"""From what a person wrote to a file with an address, and whether this machine can have it."""

from dataclasses import replace
from urllib.parse import unquote, urlsplit

from mesh.errors import InvalidRequest, ModelNotFound
from mesh.model_note import MODEL_SUFFIX
from mesh.pulling.catalogue import Entry, entries, find
from mesh.pulling.fitting import Machine, why_no_room, why_not
from mesh.pulling.hub import file_address, resolve, token
from mesh.pulling.reference import (
    CatalogueReference,
    HubReference,
    Reference,
    UrlReference,
)
from mesh.pulling.source import Source


def plan(reference: Reference, *, name: str, sha256: str, memory_bytes: int) -> Source:
    """Say where the file is and what is known of it; only a hub's repository is asked for that.

    Args:
        name: what the model will be called; "" for its own name.
        sha256: what its owner says it has; "" if they do not.

    Raises:
        MeshError: there is no such thing, or two say different things of it.
    """
    match reference:
        case CatalogueReference():
            source = _of_catalogue(reference.name, name, memory_bytes)
        case HubReference():
            source = resolve(reference, name, memory_bytes)
        case UrlReference():
            source = _of_address(reference.url, name)
    if sha256 and source.sha256 and sha256 != source.sha256:
        raise InvalidRequest(
            f"{source.origin} has sha256 {source.sha256[:16]}…, not {sha256[:16]}…",
            hint="it is another file than the one you mean",
        )
    if sha256 and not source.sha256:
        return replace(source, sha256=sha256)
    return source


def refuse_what_cannot_be(source: Source, machine: Machine, *, here_bytes: int) -> None:
    """Raises InvalidRequest where the disk or the memory is too small, as far as sizes are known.

    Args:
        here_bytes: of it that are on the disk already.
    """
    if source.size_bytes is None:
        return  # the download asks the disk once the server has told
    room = Machine(machine.memory_bytes, machine.disk_free_bytes + here_bytes)
    if not (why := why_not(source.size_bytes, room)):
        return
    disk = why_no_room(source.size_bytes, room.disk_free_bytes)
    raise InvalidRequest(
        f"{source.name} {why}",
        hint="free some space" if disk else "`deskmesh models suggest` lists what fits",
    )


def _of_catalogue(asked: str, name: str, memory_bytes: int) -> Source:
    entry = find(asked)
    if entry is None:
        raise ModelNotFound(
            f"the catalogue has no {asked}",
            hint=f"it has {', '.join(each.name for each in entries())};"
            " or write hf:OWNER/REPOSITORY, or an https:// address",
        )
    if not entry.sha256:
        named = HubReference(entry.repository, file=entry.file, revision=entry.revision)
        return resolve(named, name or entry.name, memory_bytes)
    return source_of(entry, name)


def source_of(entry: Entry, name: str = "") -> Source:
    """Return where an entry's file is; what the entry says of it must hold."""
    return Source(
        url=file_address(entry.repository, entry.revision, entry.file),
        name=name or entry.name,
        origin=f"hf:{entry.repository}/{entry.file}",
        size_bytes=entry.size_bytes,
        sha256=entry.sha256,
        licence=entry.licence,
        token=token(),
    )


def _of_address(url: str, name: str) -> Source:
    parts = urlsplit(url)
    file = unquote(parts.path).rpartition("/")[2]
    stem = file[: -len(MODEL_SUFFIX)] if file.lower().endswith(MODEL_SUFFIX) else file
    origin = f"{parts.scheme}://{parts.netloc}{parts.path}"
    return Source(url=url, name=name or stem, origin=origin)
