"""Where the command line writes, and how numbers are shown to people."""

import json
import os
import sys
from typing import Any, Literal

from rich.console import Console
from rich.text import Text

from mesh.errors import MeshError


def new_console(**options: Any) -> Console:
    """Return a console, which colours a terminal only, and none with NO_COLOR.

    Rich on its own would leave dim and bold there, which no-color.org's readers do not expect.
    Highlighting numbers is noise in our tables. Markup and :emoji: are off: names and texts come
    from other machines.
    """
    colours: Literal["auto"] | None = None if os.environ.get("NO_COLOR") else "auto"
    return Console(highlight=False, markup=False, emoji=False, color_system=colours, **options)


_PIPED_COLUMNS = None if sys.stdout.isatty() else 10_000  # piped output is not wrapped
console = new_console(width=_PIPED_COLUMNS)
errors = new_console(stderr=True, soft_wrap=True)

_UNITS = ("B", "KB", "MB", "GB", "TB")


def print_json(data: Any) -> None:
    """Print one JSON document on stdout."""
    sys.stdout.write(json.dumps(data, indent=2 if sys.stdout.isatty() else None) + "\n")


def say_error(failure: MeshError) -> None:
    """Print what, why and what to do, in one line on stderr."""
    line = Text("error: ", style="bold red")
    line.append(failure.message, style="not bold default")
    if failure.hint:
        line.append(f"; {failure.hint}", style="not bold default")
    errors.print(line)


def plain_error(failure: MeshError) -> dict[str, object]:
    """What ``--json`` prints under the key ``error``."""
    return {
        "code": failure.code,
        "message": failure.message,
        "hint": failure.hint,
        "retryable": failure.retryable,
    }


def size(count_bytes: float) -> str:
    """``1536`` is ``1.5 KB``."""
    for unit in _UNITS:
        if count_bytes < 1000 or unit == _UNITS[-1]:
            return f"{count_bytes:.0f} {unit}" if count_bytes >= 10 else f"{count_bytes:.1f} {unit}"
        count_bytes /= 1000
    raise AssertionError("the last unit takes all")


def count(number: float) -> str:
    """``361000`` is ``361K``; parameters and contexts are read that way."""
    for unit in ("", "K", "M"):
        if number < 1000:
            return f"{number:.3g}{unit}"
        number /= 1000
    return f"{number:.3g}B"


def number_of(number: int, thing: str) -> str:
    """``1 request``, and ``2 requests``."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def how_near(state: str, load_progress: float) -> str:
    """Return the state of a replica, with how far its load has come."""
    return f"{state} {load_progress:.0%}" if load_progress else state


def money(microusd: int) -> str:
    """Dollars, to the last micro-dollar where there are few; what costs nothing is a dash."""
    if not microusd:
        return "-"
    return f"${microusd / 1e6:,.2f}" if microusd >= 1_000_000 else f"${microusd / 1e6:.6f}"


def seconds(value_s: float) -> str:
    """Milliseconds below one second, else what a person would say."""
    if value_s < 1:
        return f"{value_s * 1000:.0f} ms"
    if value_s < 120:
        return f"{value_s:.1f} s"
    if value_s < 7200:
        return f"{value_s / 60:.0f} min"
    return f"{value_s / 3600:.0f} h"
