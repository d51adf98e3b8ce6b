"""Ollama's models: names in manifests, weights in ``blobs/sha256-HEX``.

Facts: the store is ``$OLLAMA_MODELS``, else ``~/.ollama/models`` (docs/faq.mdx of
github.com/ollama/ollama; blobs: manifest/paths.go, ``BlobsPath``; older versions wrote
``sha256:HEX``). Its service on Linux has another one: ``ollama_service``.
A download is BLOB-partial and more until it is whole (server/download.go).

The name of a blob claims the sha256 of its content. It is believed when the file was hashed, as
every model is before it is served.

Names are aliases of weights. What else a manifest holds is not served: a prompt or parameters that
its author put there are Ollama's, and the template that counts is the one within the weights. Where
that would make another model of it, as an adapter does, the name is left to Ollama itself.
"""

import errno
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from node_agent.library.found import Findings, FolderLook, FoundFile, LibraryProblem, printable
from node_agent.library.names import NAMES_MAX
from node_agent.library.ollama_manifest import (
    MANIFEST_BYTES_MAX,
    BrokenManifest,
    Layer,
    LayerKind,
    Manifest,
    read_manifest,
    sha256_in,
)
from node_agent.library.ollama_names import NameLook, spoken_names
from node_agent.library.ollama_service import service_store
from node_agent.library.origins import OLLAMA, left_to
from node_agent.library.store import read_small_file
from node_agent.library.walk import EFFECTIVE_IDS, PROBLEMS_MAX, why_not_a_file

ITSELF = left_to([OLLAMA])
LOOK_BYTES_MAX = 64 << 20  # of all manifests, read at each look; people's have a kilobyte each


def ollama_stores(user: Path, environment: Mapping[str, str]) -> tuple[Path, ...]:
    """Return the stores of this machine, whether they exist or not."""
    own = Path(os.path.expanduser(environment.get("OLLAMA_MODELS") or user / ".ollama" / "models"))
    return tuple(dict.fromkeys([own, service_store()] if sys.platform == "linux" else [own]))


@dataclass(frozen=True, slots=True)
class OllamaSource:
    """The models in one store of Ollama's."""

    root: Path

    def find(self) -> Findings:
        """Read every manifest, some hundred bytes each, and no blob."""
        names = NameLook(self.root)
        names.run()
        look = _Look(self.root, names.problems, bytes_left=LOOK_BYTES_MAX)
        if names.unreadable is not None:
            look.tell_unreadable(names.unreadable)
        for name, manifest in names.names.items():
            look.take(name, manifest)
        files = tuple(look.files.values())
        return Findings(
            files=files,
            problems=tuple(look.problems[:PROBLEMS_MAX]),
            folders=(FolderLook(self.root, len(files)),) if files else (),
        )


@dataclass(slots=True)
class _Look:
    root: Path
    problems: list[LibraryProblem]
    bytes_left: int  # to read of manifests
    files: dict[str, FoundFile] = field(default_factory=dict)  # by what their blobs claim
    _told_unreadable: bool = False

    def take(self, name: str, path: Path) -> None:
        """Take the weights that a name stands for, or say why not."""
        try:
            manifest = self._manifest(path)
            if why := _why_left_to_ollama(manifest):
                self._tell(path, f"{name}: {why}", ignored=True)
                return
            (weights,) = manifest.of_kind(LayerKind.MODEL)
            found = self._blob(name, path, weights)
        except BrokenManifest as failure:
            self._tell(path, f"no manifest of a model: {failure}; `ollama pull {name}` mends it")
        except PermissionError as failure:
            self.tell_unreadable(failure)
        except OSError as failure:
            if failure.errno not in {errno.ENOENT, errno.ENOTDIR} or path.is_symlink():
                why = (failure.strerror or str(failure) or type(failure).__name__).lower()
                self._tell(path, f"cannot be read: {why}; `ollama pull {name}` mends it")
        else:
            if found is not None:
                self._add(name, found)
                self._tell_companions(name, manifest)

    def tell_unreadable(self, failure: OSError) -> None:
        """Another user's store is nobody's fault; what to do about it is worth a line."""
        if isinstance(failure, PermissionError):
            reason = (
                "models of an Ollama that runs as another user, which may not be read from here:"
                " that Ollama serves them while it runs; to share the files as well, let this user"
                " read them (`sudo usermod -aG ollama USER`, `sudo chmod -R g+rX` on the folder)"
            )
        else:
            why = (failure.strerror or type(failure).__name__).lower()
            reason = f"cannot be read: {why}"
        if not self._told_unreadable:
            self._told_unreadable = True  # once, not for each of its models
            self._tell(self.root, reason, ignored=True)

    def _manifest(self, path: Path) -> Manifest:
        manifest = read_manifest(self._small(path)).for_gguf()
        if manifest.layers or not manifest.digest:
            return manifest
        reference = self.root / "blobs" / f"sha256-{sha256_in(manifest.digest)}"
        return read_manifest(self._small(reference))

    def _blob(self, name: str, path: Path, weights: Layer) -> FoundFile | None:
        """Return the weights' file; None with a problem told if it is not there as it should be."""
        sha256 = weights.sha256
        blobs = self.root / "blobs"
        candidates = [blobs / f"sha256-{sha256}", blobs / f"sha256:{sha256}"]
        blob = next((each for each in candidates if each.exists()), candidates[0])
        try:
            status = blob.stat()
        except FileNotFoundError:
            if blob.with_name(f"{blob.name}-partial").exists():
                self._tell(path, f"{name}: still downloading", ignored=True)
            else:
                self._tell(path, f"{name}: its weights are gone; `ollama pull {name}` mends it")
            return None
        if why := why_not_a_file(blob, status):
            if not os.access(blob, os.R_OK, effective_ids=EFFECTIVE_IDS):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            self._tell(blob, f"{name}: {why}")
            return None
        if weights.size and status.st_size != weights.size:
            self._tell(
                blob,
                f"{name}: has {status.st_size:,} bytes of {weights.size:,};"
                f" `ollama pull {name}` mends it",
            )
            return None
        found = FoundFile.of((blob,), (status,))
        return replace(found, origin=OLLAMA, claimed_sha256=sha256)

    def _add(self, name: str, found: FoundFile) -> None:
        known = self.files.setdefault(found.claimed_sha256, found)
        if len(known.names) < NAMES_MAX:
            names = (*known.names, *spoken_names(name))
            self.files[found.claimed_sha256] = replace(known, names=names)

    def _tell_companions(self, name: str, manifest: Manifest) -> None:
        if manifest.of_kind(LayerKind.PROJECTOR):
            sha256 = manifest.of_kind(LayerKind.PROJECTOR)[0].digest.rpartition(":")[2]
            reason = f"a projector for images, of {name}; not served yet, {name} reads text alone"
            self._tell(self.root / "blobs" / f"sha256-{sha256[:64]}", reason, ignored=True)

    def _tell(self, path: Path, reason: str, *, ignored: bool = False) -> None:
        if len(self.problems) < PROBLEMS_MAX:
            # A name may hold whatever a file's name may.
            self.problems.append(LibraryProblem(path, printable(reason), ignored=ignored))

    def _small(self, path: Path) -> bytes:
        try:
            content = read_small_file(path, min(MANIFEST_BYTES_MAX, self.bytes_left))
        except ValueError as failure:
            raise BrokenManifest(str(failure)) from None
        self.bytes_left -= len(content)
        return content


def _why_left_to_ollama(manifest: Manifest) -> str:
    """Return why a name's weights are not what the name stands for; "" if they are."""
    if manifest.of_kind(LayerKind.ADAPTER):
        return f"weights with an adapter, which is not served here; {ITSELF}"
    models = len(manifest.of_kind(LayerKind.MODEL))
    if manifest.of_kind(LayerKind.TENSOR) and not models:
        return f"weights that are no GGUF file, which llama.cpp can't load; {ITSELF}"
    if models > 1:
        return f"weights in {models} blobs, which llama.cpp can't find; {ITSELF}"
    if not models:
        return "no weights are here; Ollama runs it elsewhere, or has never fetched it"
    return ""
