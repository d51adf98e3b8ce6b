"""Tables, for terminals that are too narrow for their words."""

from collections.abc import Iterator

from rich.console import Console, Group, RenderableType
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

INDENT_COLUMNS = 2
_ENDLESS_COLUMNS = 10_000  # so that a table tells what it would like, not what it is given


def fitting(table: Table, console: Console) -> RenderableType:
    """Return ``table``, or its rows as lines where the console would break words of it."""
    options = console.options.update(max_width=_ENDLESS_COLUMNS)
    if Measurement.get(console, options, table).minimum <= console.width:
        return table
    return Group(*_rows(table))


def _rows(table: Table) -> Iterator[RenderableType]:
    """Each row by its first cell, with what else it has below, side by side."""
    columns = [(str(column.header), list(column.cells)) for column in table.columns]
    for number, row in enumerate(table.rows):
        style = row.style or ""
        (_, first), *others = [(header, _words(cells[number])) for header, cells in columns]
        yield Text(style=style).append_text(first)
        named = [
            Text(f"{header} " if header else "").append_text(cell)
            for header, cell in others
            if cell
        ]
        yield Padding(Text(" · ", style=style).join(named), (0, 0, 0, INDENT_COLUMNS))


def _words(cell: RenderableType) -> Text:
    return cell if isinstance(cell, Text) else Text(str(cell))
