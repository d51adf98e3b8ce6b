"""What the library shows: models by identity, each with the files that hold it. Pure."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from mesh.core.footprint import Shape
from mesh.core.types import Model, ModelId
from node_agent.library.description import Description, Fault, Outcome, Rejection
from node_agent.library.found import Findings, FoundFile, LibraryProblem
from node_agent.library.kinds import Kind
from node_agent.library.names import model_names
from node_agent.library.origins import left_to

NEIGHBOURS_TOLD = 3  # of a projector: quantisations of one model, not a folder of everything


@dataclass(frozen=True, slots=True)
class LibraryEntry:
    """A model and the files that hold it, which are the same byte for byte."""

    model: Model
    files: tuple[FoundFile, ...]  # at least one
    shape: Shape  # decides how much memory it takes
    embeds: bool = False  # it turns text into vectors, and writes none

    @property
    def path(self) -> Path:
        """The first of the files."""
        return self.files[0].path

    @property
    def origins(self) -> tuple[str, ...]:
        """Whose stores hold it, in words for people; () for folders alone."""
        return tuple(dict.fromkeys(file.origin for file in self.files if file.origin))


@dataclass(frozen=True, slots=True)
class LibraryView:
    """The library at one moment. Equal views are equal to whoever looks at them."""

    entries: tuple[LibraryEntry, ...] = ()  # by name, test models last
    problems: tuple[LibraryProblem, ...] = ()
    waiting: tuple[FoundFile, ...] = ()  # not described yet, in the order they will be

    def entry(self, model_id: ModelId) -> LibraryEntry | None:
        """Return the entry of a model, if it is here."""
        return next((entry for entry in self.entries if entry.model.model_id == model_id), None)


def build_view(
    findings: Findings, outcome_of: Callable[[FoundFile], Outcome | None]
) -> LibraryView:
    """Return the view of what was found, with what is known of each file."""
    same: dict[str, tuple[Description, list[FoundFile]]] = {}
    problems: list[LibraryProblem] = list(findings.problems)
    waiting: list[FoundFile] = []
    rejected: list[tuple[FoundFile, Rejection]] = []
    damaged: dict[tuple[int, int], str] = {}  # inode -> the problem of the path that showed it
    for file in findings.files:
        outcome = outcome_of(file)
        if outcome is None:
            waiting.append(file)
        elif isinstance(outcome, Rejection):
            rejected.append((file, outcome))
        elif file.claimed_sha256 in {"", outcome.sha256}:
            same.setdefault(outcome.sha256, (outcome, []))[1].append(file)
        else:
            damaged[file.inode] = _damage(file, outcome)
            problems.append(LibraryProblem(file.path, damaged[file.inode]))
    entries = []
    for description, files in same.values():
        # Another name of the very same file has no claim of its own, and is as damaged.
        if whole := [file for file in files if file.inode not in damaged]:
            entries.append(_entry(description, whole))
    entries.sort(key=lambda entry: (entry.model.test, entry.model.name, entry.model.model_id))
    problems += [
        LibraryProblem(file.path, _reason(file, why, entries), ignored=why.fault is Fault.IGNORED)
        for file, why in rejected
        if why.fault is not Fault.GONE
    ]
    # The smallest first: a machine shall have something to offer as soon as it can.
    waiting.sort(key=lambda file: (file.size_bytes, file.path))
    return LibraryView(tuple(entries), tuple(problems), tuple(waiting))


def _damage(file: FoundFile, description: Description) -> str:
    return (
        f"damaged: its content is not what {file.origin} says it is (sha256"
        f" {description.sha256[:12]}..., not {file.claimed_sha256[:12]}...), so it is not served;"
        f" remove it, and let {file.origin} download it again"
    )


def _reason(file: FoundFile, rejection: Rejection, entries: Iterable[LibraryEntry]) -> str:
    """Return why a file is no model and, of a projector, whose it seems to be.

    Of a model that only another engine may know: whether that engine's tool has brought it.
    """
    if rejection.kind is Kind.UNKNOWN_ARCHITECTURE and (who := left_to([file.origin])):
        return f"{rejection.reason}; {who}"
    if rejection.kind is not Kind.PROJECTOR:
        return rejection.reason
    folder = file.path.parent
    beside = [
        entry.model.name
        for entry in entries
        if any(each.path.parent == folder for each in entry.files)
    ]
    if not 0 < len(beside) <= NEIGHBOURS_TOLD:
        return rejection.reason
    return f"{rejection.reason}; it belongs to {' or '.join(beside)} beside it"


def _entry(description: Description, files: Iterable[FoundFile]) -> LibraryEntry:
    files = tuple(files)
    names = model_names(
        known_as=tuple(name for file in files for name in file.names),
        own_name=description.name,
        aliases=tuple(alias for file in files for alias in file.aliases),
        sha256=description.sha256,
    )
    model = description.model(names)
    if said := tuple(dict.fromkeys(domain for file in files for domain in file.domains)):
        model = replace(model, domains=said)  # the owner's word is in place of the file's
    return LibraryEntry(model, files, description.shape.shape(), description.embeds)
