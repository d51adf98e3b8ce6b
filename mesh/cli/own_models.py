"""``deskmesh models add`` and ``remove``: an owner's own models, on this machine."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from mesh.cli.model_putting import COPIED, LINKED, put, take_away
from mesh.cli.model_reading import ReadModel, read_model
from mesh.cli.output import console, count, errors, print_json, size
from mesh.cli.parts_putting import take_away_parts
from mesh.core.types import AUTO, CLOUD
from mesh.errors import InvalidRequest
from mesh.home import Home
from mesh.lock import only_one
from mesh.model_note import (
    DOMAINS_MAX,
    MODEL_SUFFIX,
    PARTIAL_SUFFIXES,
    SPLIT_NAME,
    BrokenNote,
    ModelNote,
    read_note,
)
from mesh.own_folder import OwnModel, own_model
from mesh.pulling.begun import Begun

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,95}")  # as a file is called on any system
DOMAIN = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_MODEL_ID = re.compile(r"[0-9a-f]{16}-([0-9a-f]{8}|none)")

NameArgument = Annotated[str, typer.Argument(help="As `deskmesh models add` has named it.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add the commands to those of ``deskmesh models``."""
    app.command("add")(add_model)
    app.command("remove")(remove_model)


def add_model(
    file: Annotated[Path, typer.Argument(help="A GGUF file.")],
    domain: Annotated[
        list[str] | None,
        typer.Option("--domain", help="What it is a specialist of; may be given again."),
    ] = None,
    name: Annotated[str, typer.Option("--name", help="By default the file's.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Let this machine serve a model of yours."""
    domains = _domains(domain or [])
    known_as = checked_name(name or name_of(file), given=bool(name))
    source, size_bytes = _checked(file)
    with progress("reading", size_bytes, shown=not as_json) as on_progress:
        model = read_model([source], on_progress)
    folder = Home.find().models
    note = ModelNote(name=known_as, domains=domains, sha256=model.sha256, verified=now())
    with progress("copying", size_bytes, shown=not as_json) as on_progress:
        how = put(source, folder, known_as, note, sha256=model.sha256, on_progress=on_progress)
    target = folder / f"{known_as}{MODEL_SUFFIX}"
    if as_json:
        facts = model.model_dump(mode="json", exclude={"domains"})
        said = {"name": known_as, "model_id": model.model_id, "file": str(target), "how": how}
        print_json({**said, **facts, "domains": list(domains or model.domains)})
    else:
        _show(model, known_as, domains or model.domains, target, how)


def remove_model(name: NameArgument, as_json: JsonOption = False) -> None:
    """Take a model away that `deskmesh models add` or `pull` has put here."""
    folder, known_as = Home.find().models, checked_name(name, given=True)
    begun, model = Begun(folder, known_as), own_model(folder, known_as)
    pulled = model is None or _is_pulled(model)
    if model is None and (left := begun.left()):
        with only_one(Home.find(), f"pull-{known_as}"):
            begun.remove()
        removed = left  # of a pull that nobody wants to end
    else:
        removed = _taken_away(folder, known_as, model)
    if as_json:
        print_json({"name": name, "removed": str(removed)})
    else:
        stays = "" if pulled else "; a file that it was linked or copied from stays"
        console.print(f"removed {removed}{stays}")


def _is_pulled(model: OwnModel) -> bool:
    """Whether its note says where it came from; a broken one says nothing."""
    try:
        return bool(read_note(model.note).source)
    except BrokenNote:
        return False


def _taken_away(folder: Path, name: str, model: OwnModel | None) -> Path:
    if model is None:
        raise InvalidRequest(
            f"no model {name} in {folder}", hint="`deskmesh models list` says where models are"
        )
    if not model.note.is_file():
        raise InvalidRequest(
            f"{model.where} was not put there by `deskmesh models add` or `pull`",
            hint="it may be the only copy: delete the file yourself",
        )
    return take_away_parts(model) if model.has_own_folder else take_away(model)


def _show(model: ReadModel, name: str, domains: tuple[str, ...], target: Path, how: str) -> None:
    special = f", a specialist of {', '.join(domains)}" if domains else ""
    kind = "test model, " if model.test else "embeds, " if model.embeds else ""
    console.print(
        f"{name}: {kind}{model.architecture}, {count(model.parameters)} parameters,"
        f" {model.quantisation}, {size(model.size_bytes)},"
        f" context {model.context_tokens}{special}"
    )
    done = {LINKED: "linked as", COPIED: "copied to"}.get(how, "it was there already:")
    console.print(f"{done} {target}; a running node offers it within seconds", style="dim")


def _checked(file: Path) -> tuple[Path, int]:
    """Return the file itself, links followed, and its size in bytes.

    Raises:
        InvalidRequest: there is none.
    """
    try:
        source = file.expanduser().resolve(strict=True)
        if not source.is_file():
            raise InvalidRequest(f"{file} is not a file", hint="name a GGUF file")
        return source, source.stat().st_size
    except OSError as failure:
        why = (failure.strerror or type(failure).__name__).lower()
        raise InvalidRequest(f"{file}: {why}", hint="name a GGUF file") from None


def name_of(file: Path) -> str:
    """Return what a model is called after its file."""
    stem = (
        file.name[: -len(MODEL_SUFFIX)] if file.name.lower().endswith(MODEL_SUFFIX) else file.name
    )
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", stem).strip("-._+")[:96]


def checked_name(name: str, *, given: bool) -> str:
    """Raises BadParameter, which is wrong usage, for a name that no model can have."""
    if name.lower() in {AUTO, CLOUD} or _MODEL_ID.fullmatch(name.lower()):
        problem = "means something else already"
    elif not NAME.fullmatch(name) or name.lower().endswith(PARTIAL_SUFFIXES):
        problem = "is no name of a model; use letters, digits, and . _ + - within"
    elif SPLIT_NAME.fullmatch(name + MODEL_SUFFIX):
        problem = "is how a part of a model is called"
    else:
        return name
    hint = "" if given else "; give it a --name"
    raise typer.BadParameter(f"{name[:40]!r} {problem}{hint}")


def now() -> str:
    """Return the time as a note tells it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _domains(given: list[str]) -> tuple[str, ...]:
    domains = tuple(dict.fromkeys(each.lower() for each in given))
    for each in domains:
        if not DOMAIN.fullmatch(each):
            raise typer.BadParameter(f"{each[:40]!r} is no domain; use letters, digits, - and _")
    if len(domains) > DOMAINS_MAX:
        raise typer.BadParameter(f"a specialist of more than {DOMAINS_MAX} domains is none")
    return domains


@contextmanager
def progress(what: str, size_bytes: int, *, shown: bool) -> Iterator[Callable[[int], None]]:
    """Show how far it is, where somebody looks; nothing is left of it afterwards."""
    with Progress(
        console=errors, transient=True, disable=not (shown and errors.is_terminal)
    ) as bar:
        task = bar.add_task(what, total=size_bytes, visible=False)
        yield lambda done: bar.update(task, completed=done, visible=True)
