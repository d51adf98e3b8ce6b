"""What was wrong with the words of a command, and not with the machine or the mesh: exit code 2."""

from collections.abc import Iterator
from contextlib import contextmanager

from mesh.errors import InvalidRequest


class WrongUsage(InvalidRequest):
    """The same command would fail anywhere."""

    @property
    def code(self) -> str:
        return "invalid_request"


@contextmanager
def words_blamed() -> Iterator[None]:
    """Take what is invalid here for the command's own words, whoever finds it out."""
    try:
        yield
    except InvalidRequest as failure:
        raise WrongUsage(failure.message, hint=failure.hint) from None
