"""Run by Alembic for the connection that ``database.py`` hands over; nothing else is configured."""

from alembic import context

from coordinator.ledger.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    transaction_per_migration=False,  # one transaction for all: a crash leaves the old schema
)
context.run_migrations()
