"""The models in this machine's own folder, where ``deskmesh models add`` and ``pull`` put them.

``NAME.gguf`` is one. One in parts is a folder ``NAME`` with ``NAME-00001-of-00003.gguf`` and so on,
as a pull leaves it, or these files beside the others, as an owner may have put them there. The
node's library has its own look at them; this one is for commands that take a name.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mesh.model_note import MODEL_SUFFIX, PARTS_MAX, SPLIT_NAME, note_of, part_name


@dataclass(frozen=True, slots=True)
class OwnModel:
    """A model by the name of its file."""

    name: str
    files: tuple[Path, ...]  # at least one; its parts in order
    missing: tuple[str, ...] = ()  # parts that are not there, by their names

    @property
    def note(self) -> Path:
        """Where its owner's word on it is, if there is any."""
        first = self.files[0]
        count = len(self.files) + len(self.missing)
        return note_of(first.with_name(part_name(self.name, 1, count)) if count > 1 else first)

    @property
    def size_bytes(self) -> int:
        return sum(file.stat().st_size for file in self.files)

    @property
    def has_own_folder(self) -> bool:
        """Whether its parts have one, as a pull makes it."""
        return self.in_parts and self.files[0].parent.name == self.name

    @property
    def in_parts(self) -> bool:
        return len(self.files) + len(self.missing) > 1

    @property
    def where(self) -> str:
        """Its file, for people; of parts, the first and how many there are."""
        more = len(self.files) - 1
        return f"{self.files[0]}" + (f" and {more} more of its parts" if more else "")


def own_model(folder: Path, name: str) -> OwnModel | None:
    """Return the model of that name; None: there is none."""
    if part := SPLIT_NAME.fullmatch(f"{name}{MODEL_SUFFIX}"):
        name = part["whole"]
    whole = folder / f"{name}{MODEL_SUFFIX}"
    if whole.is_file():
        return OwnModel(name, (whole,))
    return _in_parts(folder / name, name) or _in_parts(folder, name)


def own_models(folder: Path) -> list[OwnModel]:
    """Return all of them, by name."""
    found = (own_model(folder, name) for name in sorted(set(_names(folder))))
    return [each for each in found if each is not None]


def _names(folder: Path) -> Iterator[str]:
    for path in folder.glob("*"):
        if path.name.startswith("."):
            continue
        if part := SPLIT_NAME.fullmatch(path.name):
            yield part["whole"]
        elif path.suffix == MODEL_SUFFIX:
            yield path.stem
        elif path.is_dir():
            yield path.name


def _in_parts(folder: Path, name: str) -> OwnModel | None:
    """Return the model whose parts are in ``folder``, with those that are not."""
    there: dict[int, set[str]] = {}  # by how many there should be
    for path in folder.glob(f"*{MODEL_SUFFIX}"):
        part = SPLIT_NAME.fullmatch(path.name)
        if part and part["whole"] == name and 1 <= int(part["parts"]) <= PARTS_MAX:
            there.setdefault(int(part["parts"]), set()).add(path.name)
    if not there:
        return None
    count = max(there, key=lambda each: len(there[each]) / each)
    names = [part_name(name, number, count) for number in range(1, count + 1)]
    files = tuple(folder / each for each in names if each in there[count])
    missing = tuple(each for each in names if each not in there[count])
    return OwnModel(name, files, missing) if files else None
