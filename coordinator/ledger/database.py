"""The store's file: connections to it, its schema, and what is wrong with it, in words.

To change the schema, change ``tables.py`` and add a file to ``migrations/versions`` that does the
same to a store that has rows; add its revision to ``REVISIONS``.
"""

import errno
import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import (
    URL,
    Column,
    Connection,
    Engine,
    MetaData,
    String,
    Table,
    create_engine,
    event,
    insert,
    inspect,
    text,
)
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, InterfaceError, ProgrammingError
from sqlalchemy.pool import NullPool

from coordinator.ledger.tables import METADATA
from mesh.errors import MeshError, Unsupported
from mesh.platforms.here import HERE

# How long one statement waits for another process's lock before we call it trouble: more than any
# transaction of ours takes, less than a stop of the coordinator may.
BUSY_WAIT_S = 1.0
# A report that was long under way keeps SQLite's log from being written back; afterwards the log
# shrinks to this.
LOG_BYTES_KEPT_MAX = 16 * 1024 * 1024
STEPS_BETWEEN_LOOKS = 10_000  # of SQLite's machine, a fraction of a millisecond

REVISIONS = ("0001", "0002")  # of the schema, the newest last; as in migrations/versions

# As Alembic makes it, which reads there how far a store has come.
_VERSION = Table("alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))
_MIGRATIONS = Path(__file__).parent / "migrations"

_FULL = "the disk is full, or a limit of this process or user is reached"
_WORDS = {
    sqlite3.SQLITE_BUSY: "another process holds a lock on it",
    sqlite3.SQLITE_LOCKED: "another process holds a lock on it",
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_READONLY: "it is read-only",
    sqlite3.SQLITE_PERM: "this user may not write it",
    sqlite3.SQLITE_CANTOPEN: "it, or its folder, cannot be opened for writing",
    sqlite3.SQLITE_CORRUPT: "it is damaged; move it away, or put a backup in its place",
    sqlite3.SQLITE_NOTADB: "it is no database; move it away, or put a backup in its place",
}


def writing(path: Path) -> Engine:
    """Return an engine whose transactions take the write lock as they begin.

    ``synchronous=NORMAL`` survives the death of this process; a loss of power may take the last
    transactions, with the journal's position in them, and the journal brings them back.

    Raises:
        OSError: the file cannot be opened, or made for its owner alone.
    """
    _make_private(path)
    engine = _engine(path)

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = None  # transactions are begun below, not by the driver
        for pragma in (
            "journal_mode = WAL",
            "synchronous = NORMAL",
            f"journal_size_limit = {LOG_BYTES_KEPT_MAX}",
        ):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


@contextmanager
def reading(path: Path, *, within_s: float) -> Iterator[Connection]:
    """Give a connection that changes nothing, and whose statements end after ``within_s``.

    Raises:
        sqlalchemy.exc.DBAPIError: the store cannot be read, or not in that time.
    """
    engine = _engine(path, mode="rw")  # "ro" could not read a log that nobody has open
    due_s = time.monotonic() + within_s

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _: object) -> None:
        connection.execute("PRAGMA query_only = ON").close()
        connection.set_progress_handler(lambda: time.monotonic() > due_s, STEPS_BETWEEN_LOOKS)

    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def bring_up_to_date(connection: Connection) -> None:
    """Make or migrate the store behind ``connection``, within the transaction open on it.

    A new store and one that is up to date, the usual starts, do without Alembic's imports, 0.2 s.

    Raises:
        Unsupported: a newer deskmesh wrote it.
    """
    found = revision_of(connection)
    newest = REVISIONS[-1]
    if found == newest:
        return
    if not inspect(connection).get_table_names():
        METADATA.create_all(connection, checkfirst=False)
        _VERSION.create(connection)
        connection.execute(insert(_VERSION).values(version_num=newest))
        return
    if found is not None and found not in REVISIONS:
        raise Unsupported(
            f"a newer deskmesh wrote it (schema {found[:20]}, and this one knows {newest})",
            hint="update deskmesh on this machine",
        )
    migrate(connection)


def migrate(connection: Connection) -> None:
    """Take every step that the store behind ``connection`` has not taken, from none at all."""
    logging.getLogger("alembic").setLevel(logging.WARNING)  # its steps are not the operator's news
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def revision_of(connection: Connection) -> str | None:
    """Return the schema's revision; None for a store without tables."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return None if revision is None else str(revision)


def words_of(failure: BaseException) -> str:
    """Return why the store cannot be used, and what to do where a person must."""
    if isinstance(failure, MeshError):
        return str(failure)
    cause = failure.orig if isinstance(failure, DBAPIError) else failure
    if isinstance(cause, sqlite3.Error) and hasattr(cause, "sqlite_errorcode"):
        code = cause.sqlite_errorcode & 0xFF  # the rest says more than a person asks for
        return _WORDS.get(code, f"it cannot be used: {cause}")
    if isinstance(cause, OSError):
        return _FULL if cause.errno == errno.ENOSPC else cause.strerror or str(cause)
    return f"{type(cause).__name__}, a bug of ours"  # the log has its trace


def is_ours(failure: BaseException) -> bool:
    """Is what was to be written at fault, rather than the file it was to be written to?"""
    if isinstance(failure, DBAPIError):
        return isinstance(failure, IntegrityError | DataError | InterfaceError | ProgrammingError)
    return not isinstance(failure, OSError | MeshError | MemoryError)


def _make_private(path: Path) -> None:
    """Make the file, empty, for its owner alone; SQLite gives its log the same mode."""
    try:
        # Only where there is none: to close a file that SQLite has open would drop its locks.
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | HERE.open_flags, 0o600))
    except FileExistsError:
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)


def _engine(path: Path, **query: str) -> Engine:
    # As a URI, so that a missing file is not made by whoever only reads.
    return create_engine(
        URL.create("sqlite", database=f"file:{quote(str(path))}", query={"uri": "true", **query}),
        poolclass=NullPool,
        hide_parameters=True,  # a failure's words get into the log
        connect_args={"timeout": BUSY_WAIT_S},
    )
