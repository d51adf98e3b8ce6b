"""The tables of the store, as the newest migration leaves them; a test compares the two.

Times are integers: microseconds, of Unix time where they are moments. Money is micro-USD. Texts are
never null. Nothing here holds a prompt or an answer.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)

METADATA = MetaData()

# SQLite's own row id, and 64 bits everywhere else.
_Number = BigInteger().with_variant(Integer(), "sqlite")


def _text(name: str) -> Column[str]:
    return Column(name, String, nullable=False, server_default="")


def _integer(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default="0")


REQUESTS = Table(
    "requests",
    METADATA,
    Column("id", _Number, primary_key=True, autoincrement=False),
    Column("arrived_us", BigInteger, nullable=False),
    Column("principal", String, nullable=False),
    Column("request_id", String, nullable=False),  # the client's own: its idempotency key
    Column("state", String, nullable=False),  # open, answered, failed, cancelled or lost
    _text("failure"),
    # the features that routing saw
    _text("asked_model"),
    _integer("tier_allowed"),
    _text("policy"),
    _text("session"),
    _integer("prompt_bytes"),
    _integer("max_tokens"),
    _text("needs"),
    _integer("on_coordinator_host"),
    # what came of it
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
    Column("receipt", Text, nullable=False, server_default=""),
    # more of what routing saw, and what it knew of the rungs, as JSON
    _text("initiator"),
    _text("team"),
    _text("task"),
    _text("tags"),  # with commas between them
    _text("task_class"),
    _text("domain"),
    Column("ladder", Text, nullable=False, server_default=""),
    # Also the order in which reports list rows and in which old ones are removed.
    UniqueConstraint("arrived_us", "principal", "request_id", name="one_row_a_request"),
    Index("requests_by_state", "state", "arrived_us"),
    Index("requests_by_request_id", "request_id", "arrived_us"),  # somebody judges one
    Index("requests_by_task", "task", "arrived_us"),
)

ATTEMPTS = Table(
    "attempts",
    METADATA,
    Column("request", _Number, nullable=False),  # its id in ``requests``
    Column("number", Integer, nullable=False),  # in order; the last one answered
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
    PrimaryKeyConstraint("request", "number"),
    sqlite_with_rowid=False,
)

# How good answers were: one row a request and source of a kind, the newest word.
LABELS = Table(
    "labels",
    METADATA,
    Column("arrived_us", BigInteger, nullable=False),  # the request's, as in ``requests``
    Column("principal", String, nullable=False),
    Column("request_id", String, nullable=False),
    Column("kind", String, nullable=False),  # feedback, audit or shadow
    _integer("labelled_us"),
    _text("by"),  # principal
    _text("source"),
    _text("label"),  # free, of whoever judged
    Column("score", Float, nullable=False),  # in [0, 1]; 1 is right
    _text("model_id"),
    _text("task_class"),
    Column("guess", Float, nullable=False),  # P(ok) before anything was learned; 0: none
    PrimaryKeyConstraint("arrived_us", "principal", "request_id", "kind"),
    Index("labels_by_time", "labelled_us"),
    sqlite_with_rowid=False,
)

# What became of tasks, the newest word of each principal.
OUTCOMES = Table(
    "outcomes",
    METADATA,
    Column("task", String, nullable=False),
    Column("principal", String, nullable=False),
    Column("outcome", String, nullable=False),
    Column("value", Float, nullable=False),  # the operator's own measure
    _integer("recorded_us"),
    PrimaryKeyConstraint("task", "principal", "outcome"),
    Index("outcomes_by_time", "recorded_us"),
    sqlite_with_rowid=False,
)

# Sums of the terminal rows of each hour. They stay when the rows are removed.
ROLLUPS = Table(
    "rollups",
    METADATA,
    Column("hour_s", BigInteger, nullable=False),  # Unix time at which the hour, or day, began
    Column("state", String, nullable=False),
    Column("failure", String, nullable=False),
    Column("place", String, nullable=False),
    Column("model", String, nullable=False),
    Column("tier", Integer, nullable=False),
    Column("test_model", Integer, nullable=False),
    _integer("requests"),
    _integer("prompt_tokens"),
    _integer("cached_tokens"),
    _integer("completion_tokens"),
    _integer("cost_microusd"),
    PrimaryKeyConstraint("hour_s", "state", "failure", "place", "model", "tier", "test_model"),
    sqlite_with_rowid=False,
)

# How far the journal has been moved into the store. One row.
JOURNAL_POSITION = Table(
    "journal_position",
    METADATA,
    Column("only", Integer, primary_key=True, autoincrement=False),  # 1
    Column("segment", BigInteger, nullable=False),
    Column("offset", BigInteger, nullable=False),
)
