"""The files of the repository, as git would see them, but read without git."""

import os
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
NO_CHILDREN = ("pyvenv.cfg", "HEAD")  # a folder that holds one is an environment, or git's own


@cache
def files() -> tuple[Path, ...]:
    """Return every file that is or would be committed, relative to the root."""
    return tuple(sorted(path.relative_to(ROOT) for path in _walk(ROOT, ignored_names())))


def texts() -> Iterator[tuple[Path, str]]:
    """Yield every file that is text, with its text."""
    for path in files():
        content = (ROOT / path).read_bytes()
        if b"\0" not in content:
            yield path, content.decode()


def sources(*suffixes: str) -> Iterator[tuple[Path, str]]:
    """Yield the files that people write and that end in one of ``suffixes``, with their text."""
    for path, text in texts():
        if path.suffix in suffixes and not path.stem.endswith(("_pb2", "_pb2_grpc")):
            yield path, text


def ignored_names() -> list[str]:
    """Return the patterns of ``.gitignore``; only plain names, which is all that we use."""
    lines = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    return [".git", *(line.rstrip("/") for line in lines if not line.startswith("#"))]


def _walk(folder: Path, ignored: list[str]) -> Iterator[Path]:
    for entry in os.scandir(folder):
        if any(fnmatch(entry.name, pattern) for pattern in ignored):
            continue
        path = Path(entry.path)
        if not entry.is_dir(follow_symlinks=False):
            yield path
        elif not any((path / name).exists() for name in NO_CHILDREN):
            yield from _walk(path, ignored)
