"""How far a download is: a bar on a terminal, and a line now and then where there is none."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from mesh.cli.output import errors, seconds, size

LINE_EVERY_S = 5.0
RATE_OVER_S = 15.0  # the speed of the last while, not of all: a resumed part took no time


class Quiet:
    """Shows nothing."""

    def progressed(self, done_bytes: int, size_bytes: int) -> None:
        """Nobody looks."""

    def said(self, line: str) -> None:
        """Nobody reads."""


class Bar:
    """A bar with speed and time left, on a terminal."""

    def __init__(self, name: str, bar: Progress) -> None:
        self._bar = bar
        self._task = bar.add_task(name, total=None, visible=False)

    def progressed(self, done_bytes: int, size_bytes: int) -> None:
        self._bar.update(self._task, completed=done_bytes, total=size_bytes, visible=True)

    def said(self, line: str) -> None:
        self._bar.console.print(line, style="dim")


class Lines:
    """A line every few seconds, for logs and pipes."""

    def __init__(self, name: str, every_s: float = LINE_EVERY_S) -> None:
        self._name = name
        self._every_s = every_s
        self._since_s = self._told_s = 0.0
        self._since_bytes: int | None = None

    def progressed(self, done_bytes: int, size_bytes: int) -> None:
        now_s = time.monotonic()
        if self._since_bytes is None:  # until now it was asked for, at no speed
            self._since_s, self._since_bytes, self._told_s = now_s, done_bytes, now_s
        if now_s - self._told_s < self._every_s:
            return
        self._told_s = now_s
        rate = (done_bytes - self._since_bytes) / max(now_s - self._since_s, 1e-3)
        left = f", {seconds((size_bytes - done_bytes) / rate)} left" if rate > 0 else ""
        self.said(
            f"{self._name}: {size(done_bytes)} of {size(size_bytes)}"
            f" ({done_bytes / size_bytes:.0%}), {size(rate)}/s{left}"
        )
        if now_s - self._since_s > RATE_OVER_S:  # after it was told: it starts from nothing
            self._since_s, self._since_bytes = now_s, done_bytes

    def said(self, line: str) -> None:
        errors.print(line, style="dim")


@contextmanager
def shown(name: str, *, quiet: bool) -> Iterator[Bar | Lines | Quiet]:
    """Show the download of ``name`` on stderr while the context is open."""
    if quiet:
        yield Quiet()
    elif not errors.is_terminal:
        yield Lines(name)
    else:
        with Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=errors,
            transient=True,
        ) as bar:
            yield Bar(name, bar)
