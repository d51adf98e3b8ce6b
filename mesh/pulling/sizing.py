"""Asks how big the parts of a model are, before a byte of them is fetched.

A hub tells it with their names; of an address nobody knows it but its server. What a disk and a
memory must hold is the sum, and the time that is left is told by it.
"""

from collections.abc import Callable
from dataclasses import replace

from mesh.pulling.answer import size_told, validator_of
from mesh.pulling.connection import Connection
from mesh.pulling.pace import Pace
from mesh.pulling.refusals import check_status, without_a_size
from mesh.pulling.source import Source
from mesh.pulling.tries import Tries
from mesh.pulling.wanted import Wanted
from mesh.pulling.watcher import Watcher


def sized(wanted: Wanted, watcher: Watcher, pace: Pace, wait: Callable[[float], None]) -> Wanted:
    """Return ``wanted`` with the size of every part.

    Raises:
        MeshError: a part is not there, or its server will not say.
    """
    known = tuple(
        part if part.size_bytes is not None else _asked(part, watcher, pace, wait)
        for part in wanted.parts
    )
    return replace(wanted, parts=known)


def _asked(source: Source, watcher: Watcher, pace: Pace, wait: Callable[[float], None]) -> Source:
    found: list[Source] = []

    def once() -> None:
        with connection.first_byte() as answer:
            check_status(source, answer.status_code, answer.headers, pace)
            size_bytes = size_told(answer.status_code, answer.headers)
            if size_bytes is None:
                raise without_a_size(source.host)
            validator = validator_of(answer.headers)
            found.append(replace(source, size_bytes=size_bytes, validator=validator))

    with Connection(source, pace) as connection:
        Tries(source.host, pace, watcher.said, wait).until_done(once, lambda: 0)
    return found[-1]
