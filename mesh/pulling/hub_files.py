"""Which of a repository's files are meant. Pure.

A repository holds a model in many quantisations, and a large one in parts, which llama.cpp's
``gguf-split`` calls ``NAME-00001-of-00003.gguf`` and so on: they are one choice.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mesh.errors import InvalidRequest, ModelNotFound
from mesh.model_note import MODEL_SUFFIX, PARTS_MAX, SPLIT_NAME
from mesh.pulling.fitting import fits, gigabytes
from mesh.pulling.reference import HubReference

_QUANTISATION = re.compile(
    r"(?:^|[-._])(?P<name>(?:UD-)?(?:IQ|Q|TQ)\d[A-Z0-9_]*|BF16|F16|F32|MXFP4[A-Z0-9_]*)$"
)
_WHOLE = ("BF16", "F16", "F32")  # not quantised: twice the memory of Q8_0 and hardly better
TOLD_MAX = 12  # files in a message; nobody reads more


@dataclass(frozen=True, slots=True)
class HubFile:
    """One model file of a repository, or a part of a model."""

    path: str
    size_bytes: int
    sha256: str = ""

    @property
    def split(self) -> re.Match[str] | None:
        """How its name says that it is a part of several; None: it is whole."""
        found = SPLIT_NAME.fullmatch(self.path)
        return found if found is not None and int(found["parts"]) != 1 else None


@dataclass(frozen=True, slots=True)
class HubModel:
    """One model of a repository: its file, or its parts in order, as far as they are there."""

    files: tuple[HubFile, ...]
    parts: int = 1  # that it should have

    @property
    def name(self) -> str:
        """What it is called after its file, without the number of a part."""
        base = self.files[0].path.rpartition("/")[2]
        part = SPLIT_NAME.fullmatch(base)
        return part["whole"] if part else base[: -len(MODEL_SUFFIX)]

    @property
    def quantisation(self) -> str:
        found = _QUANTISATION.search(self.name.upper())
        return found["name"] if found else ""

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)

    @property
    def path(self) -> str:
        """Of its first file."""
        return self.files[0].path

    @property
    def is_whole(self) -> bool:
        return len(self.files) == self.parts <= PARTS_MAX

    def told(self, *, by_path: bool) -> str:
        """Return it for people, by its quantisation where that says which it is."""
        label = self.path if by_path or not self.quantisation else self.quantisation
        return f"{label} ({gigabytes(self.size_bytes)})"


def models_of(files: Iterable[HubFile]) -> list[HubModel]:
    """Return the models that ``files`` make up, by size."""
    models: list[HubModel] = []
    split: dict[tuple[str, int], dict[int, HubFile]] = {}
    for file in files:
        if told := file.split:
            parts = split.setdefault((told["whole"], int(told["parts"])), {})
            if 1 <= int(told["part"]) <= int(told["parts"]):
                parts[int(told["part"])] = file
        else:
            models.append(HubModel((file,)))
    models += [
        HubModel(tuple(parts[number] for number in sorted(parts)), count)
        for (_, count), parts in split.items()
        if parts
    ]
    return sorted(models, key=lambda each: (each.size_bytes, each.path))


def choose(asked: HubReference, files: Iterable[HubFile], memory_bytes: int) -> HubModel:
    """Say which is meant: by path, by quantisation, else the best that fits.

    Raises:
        ModelNotFound: none is.
        InvalidRequest: several are, or parts of it are missing.
    """
    models = models_of(files)
    named = _named(asked, models)
    if not named:
        raise _no_such_model(asked, models)
    whole = [each for each in named if each.is_whole]
    if not whole:
        raise _in_pieces(asked, named[0])
    if asked.file or asked.quantisation:
        return _only(asked, whole)
    quantised = [each for each in whole if each.quantisation not in _WHOLE] or whole
    fitting = [each for each in quantised if fits(each.size_bytes, memory_bytes)]
    return fitting[-1] if fitting else quantised[0]  # the plan says why the smallest does not fit


def _named(asked: HubReference, models: Sequence[HubModel]) -> Sequence[HubModel]:
    if asked.file:
        return [each for each in models if any(file.path == asked.file for file in each.files)]
    if asked.quantisation:
        return [each for each in models if each.quantisation == asked.quantisation]
    return models


def _only(asked: HubReference, whole: Sequence[HubModel]) -> HubModel:
    """Return the one that is meant: of the same in one file and in parts, the file."""
    if len({each.name.lower() for each in whole}) > 1:
        told = ", ".join(each.path for each in whole[:TOLD_MAX])
        raise InvalidRequest(
            f"hf:{asked.repository} has {len(whole)} models in {asked.quantisation}: {told}",
            hint=f"name one of them: hf:{asked.repository}/{whole[0].path}",
        )
    return min(whole, key=lambda each: each.parts)


def _in_pieces(asked: HubReference, model: HubModel) -> InvalidRequest:
    if model.parts > PARTS_MAX:
        return InvalidRequest(
            f"hf:{asked.repository} says that {model.name} has {model.parts:,} parts",
            hint=f"a model of more than {PARTS_MAX} is not pulled; choose another",
        )
    return InvalidRequest(
        f"hf:{asked.repository} has {len(model.files)} of the {model.parts} parts of {model.name}",
        hint="choose another quantisation, or tell its owner",
    )


def _no_such_model(asked: HubReference, models: Sequence[HubModel]) -> ModelNotFound:
    what = asked.file or asked.quantisation or f"{MODEL_SUFFIX} file"
    by_path = len({each.quantisation for each in models}) < len(models)
    listed = ", ".join(each.told(by_path=by_path) for each in models[:TOLD_MAX])
    return ModelNotFound(
        f"hf:{asked.repository} has no {what}",
        hint=f"it has {listed}" if listed else "look for a repository whose name ends in GGUF",
    )
