"""What was said of answers and tasks, and what it was said of, read back from the store."""

from dataclasses import dataclass, fields

from sqlalchemy import Connection, select

from coordinator.ledger.folding import OPEN
from coordinator.ledger.tables import LABELS, REQUESTS

REPLAYED_ROWS_MAX = 20_000  # a second of one core, and 40 MB
RELEARNED_MAX = 5000  # labels; the memory for each model is some hundreds


@dataclass(frozen=True, slots=True)
class EndedRow:
    """A request that has ended, as far as judging it or deciding it anew asks."""

    arrived_us: int
    principal: str
    request_id: str
    state: str
    tier_allowed: int
    policy: str
    task: str
    task_class: str
    domain: str
    cost_microusd: int
    ladder: str


@dataclass(frozen=True, slots=True)
class LabelRow:
    """One label."""

    arrived_us: int
    principal: str
    request_id: str
    kind: str
    source: str
    score: float
    model_id: str
    task_class: str
    guess: float


_ENDED = [REQUESTS.c[each.name] for each in fields(EndedRow)]
_LABEL = [LABELS.c[each.name] for each in fields(LabelRow)]


def newest_of(
    connection: Connection, request_id: str, principal: str | None
) -> tuple[EndedRow, list[LabelRow]] | None:
    """Return the newest ended request with this id, of ``principal`` if one is given, and what was
    said of it."""
    query = select(*_ENDED).where(REQUESTS.c.request_id == request_id, REQUESTS.c.state != OPEN)
    if principal is not None:
        query = query.where(REQUESTS.c.principal == principal)
    found = connection.execute(query.order_by(REQUESTS.c.arrived_us.desc()).limit(1)).first()
    if found is None:
        return None
    ended = EndedRow(*found)
    return ended, labels_of(connection, ended)


def labels_of(connection: Connection, ended: EndedRow) -> list[LabelRow]:
    query = select(*_LABEL).where(
        LABELS.c.arrived_us == ended.arrived_us,
        LABELS.c.principal == ended.principal,
        LABELS.c.request_id == ended.request_id,
    )
    return [LabelRow(*row) for row in connection.execute(query)]


def task_is_known(connection: Connection, task: str, principal: str | None) -> bool:
    """Did a request, of ``principal`` if one is given, belong to this task?"""
    query = select(REQUESTS.c.id).where(REQUESTS.c.task == task)
    if principal is not None:
        query = query.where(REQUESTS.c.principal == principal)
    return connection.execute(query.limit(1)).first() is not None


def newest_labels(connection: Connection) -> list[LabelRow]:
    """Return the newest labels, the oldest of them first."""
    query = select(*_LABEL).order_by(LABELS.c.labelled_us.desc()).limit(RELEARNED_MAX)
    return [LabelRow(*row) for row in connection.execute(query)][::-1]


def climbed_since(connection: Connection, since_us: int) -> list[tuple[EndedRow, float | None]]:
    """Return the newest answered requests with a ladder, and the score of each that was judged."""
    columns = REQUESTS.c
    joined = REQUESTS.outerjoin(
        LABELS,
        (LABELS.c.arrived_us == columns.arrived_us)
        & (LABELS.c.principal == columns.principal)
        & (LABELS.c.request_id == columns.request_id)
        & (LABELS.c.kind == "feedback"),
    )
    query = (
        select(*_ENDED, LABELS.c.score)
        .select_from(joined)
        .where(columns.state == "answered", columns.arrived_us >= since_us, columns.ladder != "")
        .order_by(columns.arrived_us.desc())
        .limit(REPLAYED_ROWS_MAX)
    )
    return [(EndedRow(*row[:-1]), row[-1]) for row in connection.execute(query)]
