"""Who is told how a download goes."""

from typing import Protocol


class Watcher(Protocol):
    """Called from within the download: it should not take long."""

    def progressed(self, done_bytes: int, size_bytes: int) -> None: ...
    def said(self, line: str) -> None: ...
