"""What ``up`` says on a machine without models: where the first one comes from."""

import contextlib

from mesh.cli.machine import this_command
from mesh.home import Home
from mesh.pulling.bandwidth import with_speed
from mesh.pulling.catalogue import entries
from mesh.pulling.fitting import Machine, gigabytes
from mesh.pulling.speed import speed_in_words
from mesh.pulling.suggesting import best, suggestions
from mesh.pulling.this_machine import this_machine


def without_models(home: Home) -> str:
    """Return it; the advice is given once, and nothing is ever downloaded for it."""
    said = (
        "No usable model of your own was found: serving the bundled test model, which only\n"
        f"knows a few toy tasks. Put a GGUF file into {home.models}, or start\n"
        "with --models FOLDER."
    )
    if home.advised.exists():
        return said
    with contextlib.suppress(OSError):  # then it is said again next time
        home.ensure(home.root)
        home.advised.touch()
    return f"{said}\n{advice(with_speed(this_machine(home.models)), this_command())}"


def advice(machine: Machine, command: str) -> str:
    """Return the one line that says what to begin with on ``machine``, or why there is nothing."""
    first = best(entries(), machine)
    if first is not None:
        entry, speed = first.entry, first.tokens_per_s
        pace = f", {speed_in_words(speed)}" if speed is not None else ""
        return (
            f"The best to begin with here: `{command} models pull {entry.name}`"
            f" ({gigabytes(entry.size_bytes)}, {entry.parameters} parameters{pace},"
            f" licence {entry.licence})."
        )
    least = next(each for each in suggestions(entries(), machine) if each.entry.kind == "general")
    return f"Test models only: even the smallest, {least.entry.name}, {least.why_not}."
