"""``deskmesh models suggest``: which models suit this machine."""

import typer
from rich.table import Table

from mesh.cli.narrow import fitting
from mesh.cli.output import console, print_json, size
from mesh.cli.own_models import JsonOption
from mesh.home import Home
from mesh.pulling.bandwidth import with_speed
from mesh.pulling.catalogue import entries
from mesh.pulling.speed import speed_in_words
from mesh.pulling.suggesting import Suggestion, suggestions
from mesh.pulling.this_machine import this_machine

COLUMNS = ("model", "for", "parameters", "quantisation", "size", "licence", "speed", "")


def register(app: typer.Typer) -> None:
    """Add the command to those of ``deskmesh models``."""
    app.command("suggest")(suggest_models)


def suggest_models(as_json: JsonOption = False) -> None:
    """List what of the catalogue this machine can serve, the best first."""
    machine = with_speed(this_machine(Home.find().models))
    judged = suggestions(entries(), machine)
    if as_json:
        plain = {
            "memory_bytes": machine.memory_bytes,
            "disk_free_bytes": machine.disk_free_bytes,
            "read_bytes_per_s": machine.read_bytes_per_s,
        }
        print_json({"machine": plain, "models": [_plain(each) for each in judged]})
        return
    speed = machine.read_bytes_per_s
    reads = f", which is read at {size(speed)} a second," if speed is not None else ""
    console.print(
        f"This machine has {size(machine.memory_bytes)} of memory{reads} and"
        f" {size(machine.disk_free_bytes)} of free disk.\n"
    )
    console.print(fitting(_table(judged), console))
    if first := next((each for each in judged if each.fits), None):
        console.print(f"\ndeskmesh models pull {first.entry.name}")


def _plain(suggestion: Suggestion) -> dict[str, object]:
    return {
        **suggestion.entry.model_dump(),
        "fits": suggestion.fits,
        "why_not": suggestion.why_not,
        "tokens_per_s": suggestion.tokens_per_s,
    }


def _table(judged: list[Suggestion]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in COLUMNS:
        table.add_column(column, overflow="fold")
    for each in judged:
        entry = each.entry
        known = each.fits and each.tokens_per_s is not None
        table.add_row(
            entry.name,
            entry.kind,
            entry.parameters,
            entry.quantisation,
            size(entry.size_bytes),
            entry.licence,
            speed_in_words(each.tokens_per_s or 0.0) if known else "",
            _verdict(each),
            style="" if each.usable else "dim",
        )
    return table


def _verdict(suggestion: Suggestion) -> str:
    if not suggestion.fits:
        return suggestion.why_not
    if not suggestion.usable:
        return "fits, but writes slower than one reads"
    return "fits, with little room beside it" if suggestion.tight else "fits"
