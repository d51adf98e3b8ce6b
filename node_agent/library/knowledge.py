"""What has been learned of each file: descriptions, rejections, and when to try again. Pure."""

from collections.abc import Sequence
from pathlib import Path

from node_agent.library.description import Description, Fault, Outcome, Rejection
from node_agent.library.found import FoundFile, Stamp

DESCRIPTIONS_MAX = 8_192  # twice what is served at most: files on an unplugged disk stay known
TRIES_MAX = 3  # for a file whose child failed for reasons of ours, one try a look


_Content = tuple[tuple[int, int], int, int]  # inode, size, modification time


class Knowledge:
    """Outcomes by stamp. Descriptions are worth keeping; rejections last while the file stays."""

    def __init__(self) -> None:
        self._described: dict[Stamp, Description] = {}
        self._unsaved = False
        self._rejected: dict[Stamp, Rejection] = {}
        self._tries: dict[Stamp, int] = {}
        self._restless: dict[Path, Rejection] = {}  # changed while they were read
        self._last_look: dict[Path, Stamp] = {}
        self._twins: dict[_Content, list[Stamp]] = {}  # paths that lead to one file

    def remember(self, described: dict[Stamp, Description]) -> None:
        """Take over what an earlier process knew."""
        self._described = described | self._described

    def outcome(self, file: FoundFile) -> Outcome | None:
        """Return what is known of ``file``; None if it should be described."""
        return self._described.get(file.stamp) or self._rejected.get(file.stamp)

    def learn(self, file: FoundFile, outcome: Outcome) -> None:
        """Keep what the child said of ``file``."""
        if isinstance(outcome, Description):
            for stamp in {file.stamp, *self._twins.get(_content(file), ())}:
                self._described[stamp] = outcome
            self._unsaved = True
            return
        self._rejected[file.stamp] = outcome
        self._tries[file.stamp] = self._tries.get(file.stamp, 0) + 1
        if outcome.fault is Fault.CHANGING:
            self._restless[file.path] = outcome

    def is_settled(self) -> bool:
        """Whether looking at the same files once more would change nothing."""
        return not self._restless and all(
            self._is_final(stamp, rejection) for stamp, rejection in self._rejected.items()
        )

    def review(self, files: Sequence[FoundFile]) -> None:
        """After a look: decide what is worth another try, and forget files that are gone."""
        stamps = {file.stamp for file in files}
        self._tries = {stamp: tries for stamp, tries in self._tries.items() if stamp in stamps}
        self._rejected = {
            stamp: rejection
            for stamp, rejection in self._rejected.items()
            if stamp in stamps and self._is_final(stamp, rejection)
        }
        self._watch_restless(files)
        self._last_look = {file.path: file.stamp for file in files}
        self._join_twins(files)

    def _watch_restless(self, files: Sequence[FoundFile]) -> None:
        """Let a file that changed while it was read rest from one look to the next.

        To hash a 40 GB download again at each look would be of no use.
        """
        restless = {}
        for file in files:
            rejection = self._restless.get(file.path)
            if rejection and self._last_look.get(file.path) != file.stamp:
                restless[file.path] = self._rejected[file.stamp] = rejection
        self._restless = restless

    def _join_twins(self, files: Sequence[FoundFile]) -> None:
        """Let links to one and the same file share a description."""
        self._twins = {}
        for file in files:
            self._twins.setdefault(_content(file), []).append(file.stamp)
        for twins in self._twins.values():
            known = [stamp for stamp in twins if stamp in self._described]
            for stamp in twins if 0 < len(known) < len(twins) else ():
                self._described.setdefault(stamp, self._described[known[0]])
                self._unsaved = True

    def take_unsaved(self) -> dict[Stamp, Description] | None:
        """Return all descriptions, those seen last at the end; None if nothing is new.

        Whoever fails to write them calls ``save_failed``.
        """
        if not self._unsaved:
            return None
        self._unsaved = False
        for stamp in self._last_look.values():
            if description := self._described.pop(stamp, None):
                self._described[stamp] = description
        latest = list(self._described.items())[-DESCRIPTIONS_MAX:]
        self._described = dict(latest)
        return dict(latest)

    def save_failed(self) -> None:
        """Offer the same descriptions again."""
        self._unsaved = True

    def _is_final(self, stamp: Stamp, rejection: Rejection) -> bool:
        if rejection.fault is Fault.AGAIN:
            return self._tries.get(stamp, 0) >= TRIES_MAX
        return rejection.fault in {Fault.BROKEN, Fault.IGNORED}


def _content(file: FoundFile) -> _Content:
    return (file.inode, file.stamp.size_bytes, file.stamp.mtime_ns)
