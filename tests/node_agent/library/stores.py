"""Builds the stores of other tools, by their documented layouts, out of GGUF files."""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

OLLAMA_KINDS = "application/vnd.ollama.image."
REVISION = "0123456789abcdef0123456789abcdef01234567"


@dataclass(frozen=True, slots=True)
class OllamaStore:
    """``~/.ollama/models``."""

    root: Path

    def pull(
        self,
        name: str,
        model: Path | None,
        *,
        also: Mapping[str, bytes] | None = None,
        tree: str = "manifests",
    ) -> Path:
        """Store ``model`` under HOST/NAMESPACE/MODEL:TAG; return its manifest.

        Args:
            also: the content of further layers, by kind.
        """
        layers = [self.layer("license", b"Be kind.")]
        if model is not None:
            layers.insert(0, self.layer("model", model.read_bytes()))
        layers += [self.layer(kind, content) for kind, content in (also or {}).items()]
        return self.write(name, self.manifest(layers), tree=tree)

    def layer(self, kind: str, content: bytes) -> dict[str, object]:
        """Store a blob; return the layer that names it."""
        digest = hashlib.sha256(content).hexdigest()
        self.blob(digest).parent.mkdir(parents=True, exist_ok=True)
        self.blob(digest).write_bytes(content)
        return {
            "mediaType": OLLAMA_KINDS + kind,
            "digest": f"sha256:{digest}",
            "size": len(content),
        }

    def blob(self, digest: str) -> Path:
        return self.root / "blobs" / f"sha256-{digest}"

    def manifest(self, layers: Sequence[object]) -> bytes:
        whole = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "config": {"mediaType": "application/vnd.docker.container.image.v1+json"},
            "layers": layers,
        }
        return json.dumps(whole).encode()

    def path(self, name: str, *, tree: str = "manifests") -> Path:
        """Return where the manifest of HOST/NAMESPACE/MODEL:TAG is."""
        return self.root / tree / name.replace(":", "/")

    def write(self, name: str, manifest: bytes, *, tree: str = "manifests") -> Path:
        path = self.path(name, tree=tree)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(manifest)
        return path


def library(name: str) -> str:
    """Return the full name of a model of Ollama's own library."""
    return f"registry.ollama.ai/library/{name}"


@dataclass(frozen=True, slots=True)
class HubCache:
    """``~/.cache/huggingface/hub``."""

    root: Path

    def download(
        self, repository: str, file: str, model: Path, *, revision: str = REVISION, ref: str = ""
    ) -> Path:
        """Store ``model`` as ``file`` of OWNER/NAME; return its path in the snapshot.

        Args:
            ref: the revision that ``refs/main`` names; "": this one.
        """
        folder = self.root / f"models--{repository.replace('/', '--')}"
        blob = folder / "blobs" / hashlib.sha256(model.read_bytes()).hexdigest()
        blob.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(model, blob)
        path = folder / "snapshots" / revision / file
        path.parent.mkdir(parents=True, exist_ok=True)
        up = "../" * len(path.parent.relative_to(folder).parts)
        path.symlink_to(f"{up}blobs/{blob.name}")
        (folder / "refs").mkdir(exist_ok=True)
        (folder / "refs" / "main").write_text(ref or revision)
        return path
