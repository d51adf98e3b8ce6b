"""The first tables: requests, their attempts, their sums by the hour, and the journal's position.

A migration describes the tables of its day; later changes come as later files.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _requests()
    _attempts()
    _rollups()
    op.create_table(
        "journal_position",
        sa.Column("only", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("segment", sa.BigInteger, nullable=False),
        sa.Column("offset", sa.BigInteger, nullable=False),
    )


def _requests() -> None:
    op.create_table(
        "requests",
        sa.Column("id", _ID, primary_key=True, autoincrement=False),
        sa.Column("arrived_us", sa.BigInteger, nullable=False),
        sa.Column("principal", sa.String, nullable=False),
        sa.Column("request_id", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        _text("failure"),
        _text("asked_model"),
        _integer("tier_allowed"),
        _text("policy"),
        _text("session"),
        _integer("prompt_bytes"),
        _integer("max_tokens"),
        _text("needs"),
        _integer("on_coordinator_host"),
        _text("served_model"),
        _text("served_model_id"),
        _text("place"),
        _text("place_id"),
        _integer("tier"),
        _integer("prompt_tokens"),
        _integer("cached_tokens"),
        _integer("completion_tokens"),
        _integer("reasoning_tokens"),
        _text("usage_source"),
        _integer("attempts"),
        _integer("queued_us"),
        _integer("first_token_us"),
        _integer("total_us"),
        _integer("cost_microusd"),
        _text("price_version"),
        _integer("test_model"),
        _text("why"),
        sa.Column("receipt", sa.Text, nullable=False, server_default=""),
        sa.UniqueConstraint("arrived_us", "principal", "request_id", name="one_row_a_request"),
    )
    op.create_index("requests_by_state", "requests", ["state", "arrived_us"])


def _attempts() -> None:
    op.create_table(
        "attempts",
        sa.Column("request", _ID, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        _integer("attempt_id"),
        _text("place"),
        _text("place_id"),
        _text("model"),
        _text("model_id"),
        _text("outcome"),
        _integer("tier"),
        _integer("prompt_tokens"),
        _integer("cached_tokens"),
        _integer("completion_tokens"),
        _integer("reasoning_tokens"),
        _text("usage_source"),
        _integer("predicted_first_token_us"),
        _integer("first_token_us"),
        _integer("duration_us"),
        _text("numerics"),
        _integer("cost_microusd"),
        _text("price_version"),
        sa.PrimaryKeyConstraint("request", "number"),
        sqlite_with_rowid=False,
    )


def _rollups() -> None:
    op.create_table(
        "rollups",
        sa.Column("hour_s", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("failure", sa.String, nullable=False),
        sa.Column("place", sa.String, nullable=False),
        sa.Column("model", sa.String, nullable=False),
        sa.Column("tier", sa.Integer, nullable=False),
        sa.Column("test_model", sa.Integer, nullable=False),
        _integer("requests"),
        _integer("prompt_tokens"),
        _integer("cached_tokens"),
        _integer("completion_tokens"),
        _integer("cost_microusd"),
        sa.PrimaryKeyConstraint(
            "hour_s", "state", "failure", "place", "model", "tier", "test_model"
        ),
        sqlite_with_rowid=False,
    )


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.String, nullable=False, server_default="")


def _integer(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False, server_default="0")
