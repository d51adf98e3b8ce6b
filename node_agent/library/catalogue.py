"""The library of one machine's models: looks, learns, and tells what has changed.

A look asks every source for its files, which costs a stat for each and no reading, so it is simply
done again every half minute: file system events are not to be had on network shares, and cost a
thread and a dependency. The folder of ``deskmesh models add`` is glanced at every second, at one
stat, and looked at when something came or went. What a look finds new or changed is then described
by a child, one file at a time, the smallest first.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mesh.core.types import Model, ModelId
from mesh.home import Home
from mesh.settings import NodeSettings
from node_agent.library.cache import DescriptionCache
from node_agent.library.child import describe_in_child
from node_agent.library.description import Outcome
from node_agent.library.found import Findings, FoundFile, LibraryProblem, Source
from node_agent.library.knowledge import Knowledge
from node_agent.library.places import sources_of
from node_agent.library.view import LibraryView, build_view

GLANCE_EVERY_S = 1.0  # whoever added a model waits for it
LOOK_EVERY_S = 30.0  # a new file waits as long at most; a look at 1,000 files takes 60 ms
SAVE_EVERY_S = 5.0  # while many files are described: the cache is written as a whole
FILES_MAX = 4_096  # of all sources together; far above what a desk holds

Describe = Callable[[FoundFile, Callable[[int], None]], Awaitable[Outcome]]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Describing:
    """The file that is being read now."""

    file: FoundFile
    done_bytes: int  # hashed so far


class Library:
    """The models of this machine, for one consumer: ``scan``, ``complete`` or ``changes``.

    It has no task of its own. Files are described while somebody waits in ``complete`` or
    ``changes``; leaving those ends the child and keeps what was learned.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        cache_file: Path,
        *,
        describe: Describe = describe_in_child,
        look_every_s: float = LOOK_EVERY_S,
        glanced_at: Path | None = None,
    ) -> None:
        """
        Args:
            glanced_at: a folder where a new file is noticed within ``GLANCE_EVERY_S``.
        """
        self.view = LibraryView()
        self.describing: Describing | None = None  # for progress bars
        self._sources = tuple(sources)
        self._cache = DescriptionCache(cache_file)
        self._cache_was_read = False
        self._knowledge = Knowledge()
        self._describe = describe
        self._look_every_s = look_every_s
        self._findings = Findings()
        self._glanced_at, self._glance_ns = glanced_at, 0
        self._saved_at_s = time.monotonic()

    @classmethod
    def of_machine(cls, home: Home, node: NodeSettings) -> "Library":
        """Return the library that the owner's settings describe."""
        return cls(sources_of(home, node), home.library_cache, glanced_at=home.models)

    async def scan(self) -> LibraryView:
        """Look once, and return what is known already; starts no child."""
        findings = await asyncio.to_thread(self._look)
        if findings != self._findings or not self._knowledge.is_settled():
            self._findings = findings
            self._knowledge.review(findings.files)
            self._show()
        return self.view

    async def complete(self) -> LibraryView:
        """Look once, and return when every file is described or rejected."""
        await self.scan()
        try:
            while self.view.waiting:
                await self._describe_next()
        finally:
            self._save_now()
        return self.view

    async def changes(self) -> AsyncGenerator[LibraryView, None]:
        """Yield the view at once, and again whenever it changes; never ends.

        Close it when done (``contextlib.aclosing``), or cancel the task that waits for it.
        """
        try:
            yield await self.scan()
            while True:
                while self.view.waiting:
                    await self._describe_next()
                    yield self.view
                await self._save()
                await self._rest()
                before = self.view
                if await self.scan() != before:
                    yield self.view
        finally:
            self._save_now()

    def model_in(self, file: str, sha256: str = "") -> Model | None:
        """Return the model that another program says to run: of a file, or of weights, or both."""
        path = Path(file) if Path(file).is_absolute() else None
        if not sha256 and path is None:
            return None
        for entry in self.view.entries:
            if entry.model.identity.sha256 == sha256 or any(f.path == path for f in entry.files):
                return entry.model
        return None

    def file_of(self, model_id: ModelId) -> Path | None:
        """Return a file that still is the model, to be loaded now; None if none is left.

        Of a model in parts it is the first, where llama.cpp finds the others by their names.
        Engines load by path, so this is where a file that was replaced since it was hashed is
        noticed. Blocks for a few stats.
        """
        entry = self.view.entry(model_id)
        for file in entry.files if entry else ():
            try:
                if file.stamp_now() == file.stamp:
                    return file.path
            except OSError:
                continue  # gone, or out of reach; the next look says so
        return None

    async def _rest(self) -> None:
        """Wait for the next look, or until something came into the folder that is glanced at."""
        until_s = time.monotonic() + self._look_every_s
        while (left_s := until_s - time.monotonic()) > 0:
            await asyncio.sleep(min(left_s, GLANCE_EVERY_S))
            if self._glance() != self._glance_ns:
                return

    def _glance(self) -> int:
        """Return when something last came into the folder or left it; 0: there is none.

        One stat of a folder in the home, which other parts of the agent read and write as well.
        """
        try:
            return self._glanced_at.stat().st_mtime_ns if self._glanced_at is not None else 0
        except OSError:
            return 0

    def _look(self) -> Findings:
        self._glance_ns = self._glance()  # before the look: what comes meanwhile is new
        if not self._cache_was_read:
            self._knowledge.remember(self._cache.read())
            self._cache_was_read = True
        return _merge([source.find() for source in self._sources])

    async def _describe_next(self) -> None:
        """Have the first waiting file described, and learn from it."""
        file = self.view.waiting[0]

        def progress(done_bytes: int) -> None:
            self.describing = Describing(file, done_bytes)

        progress(0)
        try:
            outcome = await self._describe(file, progress)
        finally:
            self.describing = None
        self._knowledge.learn(file, outcome)
        self._show()
        if time.monotonic() - self._saved_at_s > SAVE_EVERY_S:
            await self._save()

    async def _save(self) -> None:
        self._saved_at_s = time.monotonic()
        described = self._knowledge.take_unsaved()
        if described is not None and not await asyncio.to_thread(self._cache.write, described):
            self._knowledge.save_failed()

    def _save_now(self) -> None:
        """Save on the way out, where nothing may be awaited: a few milliseconds of one's own."""
        described = self._knowledge.take_unsaved()
        if described is not None:
            self._cache.write(described)

    def _show(self) -> None:
        """Make the view anew and log the problems that are new in it."""
        told = set(self.view.problems)
        self.view = build_view(self._findings, self._knowledge.outcome)
        for problem in self.view.problems:
            if problem not in told:
                level = logging.INFO if problem.ignored else logging.WARNING
                _log.log(level, "%s: %s", problem.where, problem.reason)


def _merge(answers: Sequence[Findings]) -> Findings:
    """Join what the sources found; a path that several of them found is one file by all names."""
    files: dict[Path, FoundFile] = {}
    for file in (file for answer in answers for file in answer.files):
        known = files.get(file.path)
        files[file.path] = known.joined(file) if known else file
    ordered = list(files.values())
    problems = [problem for answer in answers for problem in answer.problems]
    if len(ordered) > FILES_MAX:
        reason = f"this and further files are left out: {FILES_MAX} models are served at most"
        problems.append(LibraryProblem(ordered[FILES_MAX].path, reason))
    return Findings(
        files=tuple(ordered[:FILES_MAX]),
        problems=tuple(dict.fromkeys(problems)),
    )
