"""``deskmesh models pull``: a model that is elsewhere."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Annotated

import typer

from mesh.cli.download_shown import shown
from mesh.cli.model_putting import take_over
from mesh.cli.model_reading import ReadModel, read_model
from mesh.cli.output import console, count, errors, print_json, size
from mesh.cli.own_models import JsonOption, checked_name, name_of, now, progress
from mesh.cli.parts_putting import take_over_parts
from mesh.errors import InvalidRequest
from mesh.home import Home
from mesh.lock import only_one
from mesh.model_note import MODEL_SUFFIX, BrokenNote, ModelNote, read_note
from mesh.own_folder import OwnModel, own_model
from mesh.pulling.begun import Begun
from mesh.pulling.fetching import FetchedModel, fetch_model
from mesh.pulling.partial import sha256_of
from mesh.pulling.planning import plan, refuse_what_cannot_be
from mesh.pulling.reference import BadReference, Reference, read_reference
from mesh.pulling.this_machine import this_machine
from mesh.pulling.wanted import Wanted

_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


def register(app: typer.Typer) -> None:
    """Add the command to those of ``deskmesh models``."""
    app.command("pull")(pull_model)


def pull_model(
    model: Annotated[
        str,
        typer.Argument(
            help="hf:OWNER/REPOSITORY[:QUANTISATION], a name that `suggest` lists,"
            " or the https:// address of a GGUF file."
        ),
    ],
    name: Annotated[str, typer.Option("--name", help="By default its own.")] = "",
    sha256: Annotated[str, typer.Option("--sha256", help="What the file must have.")] = "",
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Though this machine has too little memory for it.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Download a model; run it again to resume. A running node serves it within seconds."""
    reference = _reference(model)
    wanted_sha256 = _digest(sha256)
    given = checked_name(name, given=True) if name else ""
    folder = Home.find().models
    machine = this_machine(folder)
    wanted = plan(reference, name=given, sha256=wanted_sha256, memory_bytes=machine.memory_bytes)
    wanted = wanted.called(given or checked_name(_cleaned(wanted.name), given=False))
    begun = Begun(folder, wanted.name)
    with only_one(Home.find(), f"pull-{wanted.name}"):
        if there := _already_there(wanted, as_json=as_json):
            begun.remove()  # a crash may have left it beside the model
            _show_there(there, wanted, as_json=as_json)
            return
        check = partial(
            refuse_what_cannot_be,
            wanted.name,
            machine=machine,
            here_bytes=begun.done_bytes(wanted),
            anyway=anyway,
        )
        if wanted.size_bytes is not None:
            check(wanted.size_bytes)
        with shown(wanted.name, quiet=as_json) as watcher, _told_what_stays():
            fetched = fetch_model(wanted, folder, watcher, on_size=check)
        known = _take(wanted, begun, fetched, as_json=as_json)
    _show(wanted, fetched, known, as_json=as_json)


@contextmanager
def _told_what_stays() -> Iterator[None]:
    """Ctrl-C loses nothing; say so."""
    try:
        yield
    except KeyboardInterrupt:
        errors.print("what came so far is kept: run the same command again to resume", style="dim")
        raise


def _reference(text: str) -> Reference:
    try:
        return read_reference(text)
    except BadReference as why:
        raise typer.BadParameter(f"{text[:80]!r} {why}") from None


def _digest(text: str) -> str:
    if text and not _SHA256.fullmatch(text):
        raise typer.BadParameter("--sha256 takes 64 hexadecimal digits")
    return text.lower()


def _cleaned(name: str) -> str:
    return name_of(Home.find().models / f"{name}{MODEL_SUFFIX}")


def _already_there(wanted: Wanted, *, as_json: bool) -> OwnModel | None:
    """Return the model that has the name already, if it is the very same weights.

    Raises:
        InvalidRequest: others have it, or nobody knows.
    """
    folder = Home.find().models
    there = own_model(folder, wanted.name)
    if there is None and not (folder / wanted.name).exists():
        return None
    if there is not None and not there.missing and _may_be(there, wanted):
        with progress("hashing", there.size_bytes, shown=not as_json) as on_progress:
            if _is(there, wanted, on_progress):
                return there
    if there is not None and not wanted.is_proven and _came_from(there, wanted.origin):
        raise InvalidRequest(
            f"{wanted.name} was pulled from there before, and nothing tells if it is another now",
            hint=f"give its --sha256, or `deskmesh models remove {wanted.name}` first",
        )
    raise InvalidRequest(
        f"{wanted.name} is the name of another model in {folder}",
        hint=f"give another --name, or `deskmesh models remove {wanted.name}` first",
    )


def _came_from(there: OwnModel, origin: str) -> bool:
    try:
        return bool(origin) and read_note(there.note).source == origin
    except BrokenNote:
        return False


def _may_be(there: OwnModel, wanted: Wanted) -> bool:
    """Whether hashing could show that they are the same."""
    same_size = wanted.size_bytes in (None, there.size_bytes)
    return wanted.is_proven and same_size and len(there.files) == len(wanted.parts)


def _is(there: OwnModel, wanted: Wanted, on_progress: Callable[[int], None]) -> bool:
    if wanted.sha256:
        return sha256_of(there.files, on_progress) == wanted.sha256
    return all(
        sha256_of([file], lambda _: None) == part.sha256
        for file, part in zip(there.files, wanted.parts, strict=True)
    )


def _take(wanted: Wanted, begun: Begun, fetched: FetchedModel, *, as_json: bool) -> ReadModel:
    """Let the reader child look at it, and give it its name and note.

    Raises:
        InvalidRequest: it is no model, and was thrown away; or the disk has changed it since.
    """
    first = fetched.files[0].absolute()
    try:
        with progress("reading", fetched.size_bytes, shown=not as_json) as on_progress:
            known = read_model([file.absolute() for file in fetched.files], on_progress)
    except InvalidRequest as why:
        begun.remove()
        what = why.message.removeprefix(f"{first}: ")
        raise InvalidRequest(f"{wanted.origin} is no model for us: {what}") from None
    if known.sha256 != fetched.sha256:
        begun.remove()
        raise InvalidRequest(
            f"the disk of {begun.folder} gave other bytes than were written to it",
            hint="what came was thrown away: check the disk before you try again",
        )
    note = ModelNote(
        name=wanted.name,
        source=wanted.origin,
        licence=wanted.licence,
        sha256=known.sha256,
        verified=now(),
    )
    if wanted.is_split:
        take_over_parts(begun, fetched.files, note)
    else:
        take_over(fetched.files[0], begun.folder, wanted.name, note)
    begun.remove()
    return known


def _show(wanted: Wanted, fetched: FetchedModel, known: ReadModel, *, as_json: bool) -> None:
    model = own_model(Home.find().models, wanted.name)
    assert model is not None, "it was given its name just now"
    if as_json:
        said = {
            "name": wanted.name,
            "model_id": known.model_id,
            "file": str(model.files[0]),
            "parts": len(model.files),
            "source": wanted.origin,
            "licence": wanted.licence,
            "digest_known_before": wanted.is_proven,
            "resumed_bytes": fetched.resumed_bytes,
        }
        print_json({**said, **known.model_dump(mode="json", exclude={"domains"})})
        return
    kind = "embeds, " if known.embeds else ""
    licence = f", licence {wanted.licence}" if wanted.licence else ""
    console.print(
        f"{wanted.name}: {kind}{known.architecture}, {count(known.parameters)} parameters,"
        f" {known.quantisation}, {size(known.size_bytes)},"
        f" context {known.context_tokens}{licence}"
    )
    proof = "as it should be" if wanted.is_proven else "nobody has said what it should be: --sha256"
    console.print(f"sha256 {known.sha256} ({proof})", style="dim")
    console.print(f"it is {model.where}; a running node offers it within seconds", style="dim")


def _show_there(there: OwnModel, wanted: Wanted, *, as_json: bool) -> None:
    if as_json:
        print_json({"name": wanted.name, "file": str(there.files[0]), "sha256": wanted.sha256})
    else:
        console.print(f"{wanted.name} is here already: {there.where}")
