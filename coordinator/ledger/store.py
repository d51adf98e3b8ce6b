"""The store: the tables of one SQLite file, written by one thread."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as insert_or

from coordinator.ledger.database import bring_up_to_date, writing
from coordinator.ledger.folding import OPEN, Changes, Key, Known, fold
from coordinator.ledger.journal import Position
from coordinator.ledger.records import Closed, Opened, Record, key_of
from coordinator.ledger.tables import (
    ATTEMPTS,
    JOURNAL_POSITION,
    LABELS,
    OUTCOMES,
    REQUESTS,
    ROLLUPS,
)
from coordinator.ledger.totals import DAY_S, Group, Sums, Totals, added, hour_of
from mesh.core.types import RequestKey

FILE = "ledger.db"

_GROUP = tuple(field.name for field in fields(Group))
_SUMS = tuple(field.name for field in fields(Sums))

# Built once: what SQLAlchemy compiles for a statement is kept with its shape.
_END = (
    update(REQUESTS)
    .where(REQUESTS.c.id == bindparam("of"), REQUESTS.c.state == OPEN)
    .values({c.name: bindparam(c.name) for c in REQUESTS.c if c.name != "id"})
)
_LOST = Group(state="lost", failure="", place="", model="", tier=0, test_model=0)
_LOSE = update(REQUESTS).where(REQUESTS.c.state == OPEN).values(state="lost")
_ADD = insert_or(ROLLUPS)
_ADD = _ADD.on_conflict_do_update(
    index_elements=["hour_s", *_GROUP],
    set_={name: ROLLUPS.c[name] + _ADD.excluded[name] for name in _SUMS},
)
# The newest word counts.
_LABEL = insert(LABELS).prefix_with("OR REPLACE")
_OUTCOME = insert(OUTCOMES).prefix_with("OR REPLACE")
_MOVE = insert_or(JOURNAL_POSITION)
_MOVE = _MOVE.on_conflict_do_update(
    index_elements=["only"],
    set_={"segment": _MOVE.excluded.segment, "offset": _MOVE.excluded.offset},
)


class Store:
    """Open, migrated and ready. Every method is one transaction; any may raise a database error."""

    def __init__(self, folder: Path) -> None:
        """Raises DBAPIError, OSError, or Unsupported where a newer deskmesh wrote the file."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path = folder / FILE
        self._engine = writing(self._path)
        self._connection = self._engine.connect()
        try:
            with self._connection.begin():
                bring_up_to_date(self._connection)
            self._file = os.stat(self._path).st_ino
        except BaseException:
            self.close()
            raise

    @property
    def replaced(self) -> bool:
        """Was the file moved away, or another put in its place? Then this store is no more."""
        try:
            return os.stat(self._path).st_ino != self._file
        except OSError:
            return True

    def position(self) -> Position:
        """Return how far the journal has been moved in."""
        with self._connection.begin():
            found = self._connection.execute(select(JOURNAL_POSITION)).one_or_none()
        return Position() if found is None else Position(found.segment, found.offset)

    def apply(self, records: Sequence[Record], position: Position) -> None:
        """Move ``records`` in, up to ``position``: all of it, or nothing."""
        with self._connection.begin():
            if records:
                self._write(fold(records, self._known(records), self._next_id()))
            self._connection.execute(
                _MOVE, {"only": 1, "segment": position.segment, "offset": position.offset}
            )

    def lose_open(self) -> int:
        """End every request that is open as lost, and return how many there were."""
        with self._connection.begin():
            arrived = select(REQUESTS.c.arrived_us).where(REQUESTS.c.state == OPEN)
            hours = [hour_of(arrived_us) for arrived_us in self._connection.scalars(arrived)]
            if hours:
                self._connection.execute(_LOSE)
                self._add(((hour_s, _LOST), Sums(1)) for hour_s in hours)
        return len(hours)

    def totals(self, since_s: int) -> Totals:
        """Return the sums of all hours since ``since_s``."""
        with self._connection.begin():
            return totals_since(self._connection, since_s)

    def forget_before(self, arrived_us: int, *, at_most: int) -> int:
        """Remove some rows of requests that ended and arrived earlier; return how many.

        Their sums stay.
        """
        old = (
            select(REQUESTS.c.id)
            .where(REQUESTS.c.arrived_us < arrived_us, REQUESTS.c.state != OPEN)
            .order_by(REQUESTS.c.arrived_us)
            .limit(at_most)
        )
        with self._connection.begin():
            ids = list(self._connection.scalars(old))
            if ids:
                self._connection.execute(delete(ATTEMPTS).where(ATTEMPTS.c.request.in_(ids)))
                self._connection.execute(delete(REQUESTS).where(REQUESTS.c.id.in_(ids)))
            else:  # the rows have gone, so what was said of them goes; it is much less
                self._connection.execute(delete(LABELS).where(LABELS.c.arrived_us < arrived_us))
                self._connection.execute(
                    delete(OUTCOMES).where(OUTCOMES.c.recorded_us < arrived_us)
                )
        return len(ids)

    def merge_hours_before(self, day_s: int) -> None:
        """Add up the hours of each day before ``day_s``: years of them stay quick to read."""
        scattered = (ROLLUPS.c.hour_s < day_s, ROLLUPS.c.hour_s % DAY_S != 0)
        with self._connection.begin():
            rows = self._connection.execute(select(ROLLUPS).where(*scattered)).all()
            if rows:
                self._connection.execute(delete(ROLLUPS).where(*scattered))
                self._add(
                    ((row.hour_s - row.hour_s % DAY_S, _group(row)), _sums(row)) for row in rows
                )

    def flush(self) -> bool:
        """Write SQLite's log back into the file, durably. Return whether all of it is."""
        cursor = self._connection.connection.cursor()  # beside any transaction
        try:
            cursor.execute("PRAGMA wal_checkpoint(PASSIVE)")
            busy, pages, written = cursor.fetchone() or (1, 0, 0)
        finally:
            cursor.close()
        return not busy and pages == written

    def close(self) -> None:
        self._connection.close()
        self._engine.dispose()

    def _known(self, records: Sequence[Record]) -> dict[Key, Known]:
        requests = [record for record in records if isinstance(record, Opened | Closed)]
        moments = {record.row["arrived_us"] for record in requests}
        columns = REQUESTS.c
        found = self._connection.execute(
            select(
                columns.id, columns.state, columns.arrived_us, columns.principal, columns.request_id
            ).where(columns.arrived_us.in_(moments))
        )
        asked = {key_of(record.row) for record in requests}
        every = {
            (row.arrived_us, RequestKey(row.principal, row.request_id)): Known(row.id, row.state)
            for row in found
        }
        return {key: known for key, known in every.items() if key in asked}

    def _next_id(self) -> int:
        newest: int | None = self._connection.scalar(select(func.max(REQUESTS.c.id)))
        return (newest or 0) + 1

    def _write(self, changes: Changes) -> None:
        if changes.requests:
            self._connection.execute(insert(REQUESTS), changes.requests)
        if changes.ended:
            self._connection.execute(_END, [{**row, "of": row["id"]} for row in changes.ended])
        if changes.attempts:
            self._connection.execute(insert(ATTEMPTS), changes.attempts)
        if changes.labels:
            self._connection.execute(_LABEL, changes.labels)
        if changes.outcomes:
            self._connection.execute(_OUTCOME, changes.outcomes)
        if changes.sums:
            self._add(changes.sums.items())

    def _add(self, sums: Iterable[tuple[tuple[int, Group], Sums]]) -> None:
        rows = [
            {"hour_s": hour_s, **asdict(group), **asdict(sum_)} for (hour_s, group), sum_ in sums
        ]
        self._connection.execute(_ADD, rows)


def totals_since(connection: Connection, since_s: int) -> Totals:
    """Read the sums of the hours since ``since_s`` over an open connection."""
    sums = (func.sum(ROLLUPS.c[name]).label(name) for name in _SUMS)
    groups = [ROLLUPS.c[name] for name in _GROUP]
    found = connection.execute(
        select(*groups, *sums).where(ROLLUPS.c.hour_s >= since_s).group_by(*groups)
    )
    return added({}, ((_group(row), _sums(row)) for row in found))


def _group(row: Any) -> Group:
    return Group(row.state, row.failure, row.place, row.model, row.tier, row.test_model)


def _sums(row: Any) -> Sums:
    return Sums(
        row.requests,
        row.prompt_tokens,
        row.cached_tokens,
        row.completion_tokens,
        row.cost_microusd,
    )
