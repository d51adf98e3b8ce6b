"""``deskmesh models pull`` and ``suggest``: models that are elsewhere."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Annotated

import typer
from rich.table import Table

from mesh.cli.download_shown import shown
from mesh.cli.model_putting import take_over
from mesh.cli.model_reading import ReadModel, read_model
from mesh.cli.output import console, count, errors, print_json, size
from mesh.cli.own_models import JsonOption, checked_name, name_of, now, progress
from mesh.errors import InvalidRequest
from mesh.home import Home
from mesh.lock import only_one
from mesh.model_note import MODEL_SUFFIX, ModelNote
from mesh.pulling.catalogue import entries
from mesh.pulling.download import Fetched, fetch
from mesh.pulling.partial import Partial, sha256_of
from mesh.pulling.planning import plan, refuse_what_cannot_be
from mesh.pulling.reference import BadReference, Reference, read_reference
from mesh.pulling.source import Source
from mesh.pulling.suggesting import Suggestion, suggestions
from mesh.pulling.this_machine import this_machine

_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


def register(app: typer.Typer) -> None:
    """Add the commands to those of ``deskmesh models``."""
    app.command("pull")(pull_model)
    app.command("suggest")(suggest_models)


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
    wanted = _digest(sha256)
    given = checked_name(name, given=True) if name else ""
    folder = Home.find().models
    machine = this_machine(folder)
    source = plan(reference, name=given, sha256=wanted, memory_bytes=machine.memory_bytes)
    if not given:
        source = replace(source, name=checked_name(_cleaned(source.name), given=False))
    with only_one(Home.find(), f"pull-{source.name}"):
        if _is_there(source, as_json=as_json):
            Partial(folder, source.name).remove()  # a crash may have left it beside the model
            _show_there(source, as_json=as_json)
            return
        state = Partial(folder, source.name).read()
        here_bytes = state.done_bytes if state else 0

        def check(size_bytes: int | None) -> None:
            known = replace(source, size_bytes=size_bytes)
            if not anyway:
                refuse_what_cannot_be(known, machine, here_bytes=here_bytes)

        check(source.size_bytes)
        with shown(source.name, quiet=as_json) as watcher, _told_what_stays():
            fetched = fetch(source, folder, watcher, on_size=check)
        known = _take(source, fetched, as_json=as_json)
    _show(source, fetched, known, as_json=as_json)


def suggest_models(as_json: JsonOption = False) -> None:
    """List what of the catalogue this machine can serve, the best first."""
    machine = this_machine(Home.find().models)
    judged = suggestions(entries(), machine)
    if as_json:
        listed = [
            {**each.entry.model_dump(), "fits": each.fits, "why_not": each.why_not}
            for each in judged
        ]
        plain = {"memory_bytes": machine.memory_bytes, "disk_free_bytes": machine.disk_free_bytes}
        print_json({"machine": plain, "models": listed})
        return
    console.print(
        f"This machine has {size(machine.memory_bytes)} of memory and"
        f" {size(machine.disk_free_bytes)} of free disk.\n"
    )
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("model", "for", "parameters", "quantisation", "size", "licence", ""):
        table.add_column(column, overflow="fold")
    for each in judged:
        entry = each.entry
        table.add_row(
            entry.name,
            entry.kind,
            entry.parameters,
            entry.quantisation,
            size(entry.size_bytes),
            entry.licence,
            _verdict(each),
            style="" if each.fits else "dim",
        )
    console.print(table)
    if first := next((each for each in judged if each.fits), None):
        console.print(f"\ndeskmesh models pull {first.entry.name}")


def _verdict(suggestion: Suggestion) -> str:
    if not suggestion.fits:
        return suggestion.why_not
    return "fits, with little room beside it" if suggestion.tight else "fits"


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


def _is_there(source: Source, *, as_json: bool) -> bool:
    """Whether the very same weights have the name already.

    Raises:
        InvalidRequest: others have it, or nobody knows.
    """
    target = Home.find().models / f"{source.name}{MODEL_SUFFIX}"
    if not target.exists():
        return False
    size_bytes = target.stat().st_size
    if source.sha256 and source.size_bytes in (None, size_bytes):
        with progress("hashing", size_bytes, shown=not as_json) as on_progress:
            if sha256_of(target, on_progress) == source.sha256:
                return True
    raise InvalidRequest(
        f"{source.name} is the name of another model in {target.parent}",
        hint=f"give another --name, or `deskmesh models remove {source.name}` first",
    )


def _take(source: Source, fetched: Fetched, *, as_json: bool) -> ReadModel:
    """Let the reader child look at it, and give it its name and note.

    Raises:
        InvalidRequest: it is no model, and was thrown away; or the disk has changed it since.
    """
    folder = Home.find().models
    partial = Partial(folder, source.name)
    try:
        with progress("reading", fetched.size_bytes, shown=not as_json) as on_progress:
            known = read_model(fetched.file.absolute(), on_progress)
    except InvalidRequest as why:
        partial.remove()
        what = why.message.removeprefix(f"{fetched.file.absolute()}: ")
        raise InvalidRequest(f"{source.origin} is no model for us: {what}") from None
    if known.sha256 != fetched.sha256:
        partial.remove()
        raise InvalidRequest(
            f"the disk of {folder} gave other bytes than were written to it",
            hint="what came was thrown away: check the disk before you try again",
        )
    note = ModelNote(
        name=source.name,
        source=source.origin,
        licence=source.licence,
        sha256=known.sha256,
        verified=now(),
    )
    take_over(fetched.file, folder, source.name, note)
    partial.remove()
    return known


def _show(source: Source, fetched: Fetched, known: ReadModel, *, as_json: bool) -> None:
    target = Home.find().models / f"{source.name}{MODEL_SUFFIX}"
    if as_json:
        said = {
            "name": source.name,
            "model_id": known.model_id,
            "file": str(target),
            "source": source.origin,
            "licence": source.licence,
            "digest_known_before": bool(source.sha256),
            "resumed_bytes": fetched.resumed_bytes,
        }
        print_json({**said, **known.model_dump(mode="json", exclude={"domains"})})
        return
    kind = "embeds, " if known.embeds else ""
    licence = f", licence {source.licence}" if source.licence else ""
    console.print(
        f"{source.name}: {kind}{known.architecture}, {count(known.parameters)} parameters,"
        f" {known.quantisation}, {size(known.size_bytes)},"
        f" context {count(known.context_tokens)}{licence}"
    )
    proof = "as it should be" if source.sha256 else "nobody has said what it should be: --sha256"
    console.print(f"sha256 {known.sha256} ({proof})", style="dim")
    console.print(f"it is {target}; a running node offers it within seconds", style="dim")


def _show_there(source: Source, *, as_json: bool) -> None:
    target = Home.find().models / f"{source.name}{MODEL_SUFFIX}"
    if as_json:
        print_json({"name": source.name, "file": str(target), "sha256": source.sha256})
    else:
        console.print(f"{source.name} is here already: {target}")
