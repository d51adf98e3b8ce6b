"""A download as tests do it: quick, and with what was said kept."""

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path

from mesh.pulling.download import Fetched, fetch
from mesh.pulling.pace import Pace
from mesh.pulling.partial import Partial
from mesh.pulling.source import Source

QUICK = Pace(
    connect_s=2.0,
    read_s=0.5,
    tries=3,
    wait_first_s=0.001,
    wait_most_s=0.002,
    progress_bytes=1000,
    checkpoint_s=0.0,
)


@dataclass
class Kept:
    """A watcher that remembers."""

    lines: list[str] = field(default_factory=list)
    progress: list[tuple[int, int]] = field(default_factory=list)

    def progressed(self, done_bytes: int, size_bytes: int) -> None:
        self.progress.append((done_bytes, size_bytes))

    def said(self, line: str) -> None:
        self.lines.append(line)


@dataclass
class Fetching:
    """Fetches one address into one folder, again and again."""

    folder: Path
    source: Source
    watcher: Kept = field(default_factory=Kept)
    waits_s: list[float] = field(default_factory=list)
    pace: Pace = QUICK

    def go(self) -> Fetched:
        partial = Partial.of_file(self.folder, self.source.name)
        return fetch(self.source, partial, self.watcher, pace=self.pace, wait=self.waits_s.append)

    def knowing(self, content: bytes) -> "Fetching":
        """The same, with the sha256 and size of ``content`` known beforehand."""
        known = replace(
            self.source, sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content)
        )
        return replace(self, source=known)

    @property
    def hidden(self) -> list[str]:
        return sorted(each.name for each in self.folder.iterdir()) if self.folder.exists() else []
