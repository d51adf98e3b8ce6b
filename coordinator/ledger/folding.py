"""What a batch of the journal's records changes in the tables. Pure: rows in, rows out.

A request is opened and closed once. Usually both are in one batch, and its row is written once, as
it ends; otherwise its row is ``open`` in between. Whatever would end a request a second time
changes nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from coordinator.ledger.records import Became, Closed, Labelled, Record, Row, key_of
from coordinator.ledger.tables import ATTEMPTS, LABELS, OUTCOMES, REQUESTS
from coordinator.ledger.totals import Group, Sums, group_of, hour_of, sums_of
from mesh.core.types import RequestKey

Key = tuple[int, RequestKey]

OPEN = "open"


@dataclass(frozen=True, slots=True)
class Known:
    """A request that has a row already."""

    row_id: int
    state: str


@dataclass(slots=True)
class Changes:
    """Rows to write, each with all of its columns."""

    requests: list[Row] = field(default_factory=list)  # new
    ended: list[Row] = field(default_factory=list)  # in place of the open row with the same id
    attempts: list[Row] = field(default_factory=list)
    sums: dict[tuple[int, Group], Sums] = field(default_factory=dict)  # by hour, to be added
    labels: list[Row] = field(default_factory=list)  # in place of those there are
    outcomes: list[Row] = field(default_factory=list)  # likewise


_BLANK: dict[str, Row] = {
    table.name: {
        column.name: "" if column.type.python_type is str else 0 for column in table.columns
    }
    for table in (REQUESTS, ATTEMPTS, LABELS, OUTCOMES)
}


def fold(records: Iterable[Record], known: Mapping[Key, Known], next_id: int) -> Changes:
    """Return what ``records`` change, in their order; ``known`` requests have rows already."""
    changes = Changes()
    opened: dict[Key, Row] = {}  # in this batch, and not closed yet
    states: dict[Key, Known] = dict(known)
    for record in records:
        if isinstance(record, Labelled):
            changes.labels.append(_filled("labels", record.row))
            continue
        if isinstance(record, Became):
            changes.outcomes.append(_filled("outcomes", record.row))
            continue
        key = key_of(record.row)
        before = states.get(key)
        if isinstance(record, Closed):
            if before is not None and before.state != OPEN:
                continue
            row_id = next_id if before is None else before.row_id
            row = _filled("requests", record.row, id=row_id)
            if key in opened:
                opened[key].update(row)  # its row is among the new ones already
                del opened[key]
            elif before is None:
                changes.requests.append(row)
            else:
                changes.ended.append(row)
            _count(changes, row, record.attempts)
        else:
            if before is not None:
                continue
            row_id = next_id
            row = opened[key] = _filled("requests", record.row, id=row_id, state=OPEN)
            changes.requests.append(row)
        next_id += row_id == next_id
        states[key] = Known(row_id, row["state"])
    return changes


def _count(changes: Changes, row: Row, attempts: list[Row]) -> None:
    for number, attempt in enumerate(attempts):
        filled = _filled("attempts", {"number": number, **attempt}, request=row["id"])
        changes.attempts.append(filled)
    place = hour_of(row["arrived_us"]), group_of(row)
    changes.sums[place] = changes.sums.get(place, Sums()) + sums_of(row)


def _filled(table: str, given: Row, **more: int | str) -> Row:
    """Return a row with every column of ``table`` and no other, whichever version wrote it."""
    blank = _BLANK[table]
    return {**blank, **{name: given[name] for name in blank if name in given}, **more}
