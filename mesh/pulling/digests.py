"""The sha256 of a file that comes and, where it is a part of a model, of the model up to its end.

A model in parts is known by the sha256 of all their bytes one after the other, which no hub tells.
So it is taken while they come, beside each part's own: a second pass over files of a hundred
gigabytes would take minutes.
"""

import hashlib
from typing import Protocol


class Digest(Protocol):
    """What we use of a hash of hashlib."""

    def update(self, data: bytes | memoryview, /) -> None: ...


class Digests:
    """Both of them; equal, and computed once, for the first part and for a model in one file."""

    def __init__(self, before: "hashlib._Hash | None" = None) -> None:
        """
        Args:
            before: of the parts before this one; it stays as it is.
        """
        self.own = hashlib.sha256()
        self.so_far = before.copy() if before is not None else self.own

    def update(self, data: bytes | memoryview, /) -> None:
        """Add bytes to both."""
        self.own.update(data)
        if self.so_far is not self.own:
            self.so_far.update(data)
