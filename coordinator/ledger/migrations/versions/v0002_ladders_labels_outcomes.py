"""What the ladder knew of each request, how good answers were, and what became of tasks."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("initiator", "team", "task", "tags", "task_class", "domain"):
        op.add_column("requests", _text(name))
    op.add_column("requests", sa.Column("ladder", sa.Text, nullable=False, server_default=""))
    op.create_index("requests_by_request_id", "requests", ["request_id", "arrived_us"])
    op.create_index("requests_by_task", "requests", ["task", "arrived_us"])
    op.create_table(
        "labels",
        sa.Column("arrived_us", sa.BigInteger, nullable=False),
        sa.Column("principal", sa.String, nullable=False),
        sa.Column("request_id", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        _integer("labelled_us"),
        _text("by"),
        _text("source"),
        _text("label"),
        sa.Column("score", sa.Float, nullable=False),
        _text("model_id"),
        _text("task_class"),
        sa.Column("guess", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("arrived_us", "principal", "request_id", "kind"),
        sqlite_with_rowid=False,
    )
    op.create_index("labels_by_time", "labels", ["labelled_us"])
    op.create_table(
        "outcomes",
        sa.Column("task", sa.String, nullable=False),
        sa.Column("principal", sa.String, nullable=False),
        sa.Column("outcome", sa.String, nullable=False),
        sa.Column("value", sa.Float, nullable=False),
        _integer("recorded_us"),
        sa.PrimaryKeyConstraint("task", "principal", "outcome"),
        sqlite_with_rowid=False,
    )
    op.create_index("outcomes_by_time", "outcomes", ["recorded_us"])


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.String, nullable=False, server_default="")


def _integer(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False, server_default="0")
