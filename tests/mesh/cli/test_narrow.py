"""A table on terminals of several widths."""

from io import StringIO

import pytest
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mesh.cli.narrow import fitting


def shown(columns: int) -> list[str]:
    table = Table(box=None, pad_edge=False)
    table.add_column("node", overflow="fold")
    table.add_column("models", overflow="fold")
    table.add_column("id", no_wrap=True)
    table.add_column("")
    table.add_row("workstation", "qwen3-0.6b (test)", Text("a1629e30"), "fits")
    table.add_row("laptop", "", "b2", "")
    console = Console(file=StringIO(), width=columns)
    console.print(fitting(table, console))
    return [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]


@pytest.mark.parametrize("columns", [44, 120])
def test_where_there_is_room_for_its_words_it_is_a_table(columns: int) -> None:
    assert shown(columns)[0].split() == ["node", "models", "id"]


def test_a_narrow_terminal_breaks_no_word_of_it() -> None:
    assert shown(26) == [
        "workstation",
        "  models qwen3-0.6b (test)",
        "  · id a1629e30 · fits",
        "laptop",
        "  id b2",
    ]
