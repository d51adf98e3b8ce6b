"""From what a person wrote to files with addresses, and whether this machine can have them."""

from urllib.parse import unquote, urlsplit

from mesh.errors import InvalidRequest, ModelNotFound
from mesh.model_note import MODEL_SUFFIX, PARTS_MAX, SPLIT_NAME
from mesh.pulling.catalogue import Entry, entries, find
from mesh.pulling.fitting import Machine, fits, why_no_room, why_not
from mesh.pulling.hub import file_address, resolve, token
from mesh.pulling.reference import (
    CatalogueReference,
    HubReference,
    Reference,
    UrlReference,
)
from mesh.pulling.source import Source
from mesh.pulling.wanted import Wanted


def plan(reference: Reference, *, name: str, sha256: str, memory_bytes: int) -> Wanted:
    """Say where the model is and what is known of it; only a hub's repository is asked for that.

    Args:
        name: what the model will be called; "" for its own name.
        sha256: what its owner says it has; "" if they do not.

    Raises:
        MeshError: there is no such thing, or two say different things of it.
    """
    match reference:
        case CatalogueReference():
            wanted = _of_catalogue(reference.name, name, memory_bytes)
        case HubReference():
            wanted = resolve(reference, name, memory_bytes)
        case UrlReference():
            wanted = _of_address(reference.url, name)
    if sha256 and wanted.sha256 and sha256 != wanted.sha256:
        raise InvalidRequest(
            f"{wanted.origin} has sha256 {wanted.sha256[:16]}…, not {sha256[:16]}…",
            hint="it is another file than the one you mean",
        )
    return wanted.with_sha256(sha256) if sha256 else wanted


def refuse_what_cannot_be(
    name: str, size_bytes: int, machine: Machine, *, here_bytes: int, anyway: bool = False
) -> None:
    """Raises InvalidRequest where the disk or the memory is too small for a model of that size.

    Args:
        here_bytes: of it that are on the disk already.
        anyway: its owner knows that the memory is too small.
    """
    if not anyway and not fits(size_bytes, machine.memory_bytes):
        raise InvalidRequest(
            f"{name} {why_not(size_bytes, machine)}",
            hint="`deskmesh models suggest` lists what fits; --anyway pulls it all the same",
        )
    if why := why_no_room(size_bytes, machine.disk_free_bytes + here_bytes):
        raise InvalidRequest(f"{name} {why}", hint="free some space")


def _of_catalogue(asked: str, name: str, memory_bytes: int) -> Wanted:
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
    return _of_entry(entry, name)


def _of_entry(entry: Entry, name: str) -> Wanted:
    """What the entry says of its file must hold."""
    file = Source(
        url=file_address(entry.repository, entry.revision, entry.file),
        name=entry.name,
        origin=f"hf:{entry.repository}/{entry.file}",
        size_bytes=entry.size_bytes,
        sha256=entry.sha256,
        token=token(),
    )
    return Wanted.of([file], name or entry.name, licence=entry.licence)


def _of_address(url: str, name: str) -> Wanted:
    """Return what an address names: a file, or, by the name of any part, all parts of a model."""
    path, _, base = urlsplit(url).path.rpartition("/")
    file = unquote(base)
    split = SPLIT_NAME.fullmatch(base)
    count = int(split["parts"]) if split else 1
    if split is None or count == 1:
        stem = file[: -len(MODEL_SUFFIX)] if file.lower().endswith(MODEL_SUFFIX) else file
        own_name = unquote(split["whole"]) if split else stem
        return Wanted.of([_at(url)], name or own_name)
    if not 1 <= int(split["part"]) <= count <= PARTS_MAX:
        raise InvalidRequest(
            f"{file} is no part of a model that is pulled",
            hint=f"parts are counted from 00001, and there are {PARTS_MAX} at most",
        )
    before, after = base[: split.start("part")], base[split.end("part") :]
    bases = [f"{before}{number:05}{after}" for number in range(1, count + 1)]
    urls = [urlsplit(url)._replace(path=f"{path}/{each}").geturl() for each in bases]
    return Wanted.of([_at(each) for each in urls], name or unquote(split["whole"]))


def _at(url: str) -> Source:
    parts = urlsplit(url)
    return Source(url=url, name="", origin=f"{parts.scheme}://{parts.netloc}{parts.path}")
