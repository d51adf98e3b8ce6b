"""Every error of the mesh has one shape over HTTP, and says whether to try again."""

from collections.abc import Iterator

import pytest

from mesh import errors
from mesh.door.failures import SHOWN, Refused, error_object, retry_headers, shown
from mesh.errors import MeshError


def _leaves(kind: type[MeshError]) -> Iterator[type[MeshError]]:
    below = [each for each in kind.__subclasses__() if each.__module__ == errors.__name__]
    if not below:
        yield kind
    for each in below:
        yield from _leaves(each)


def test_every_error_has_one_row() -> None:
    assert set(SHOWN) == set(_leaves(MeshError))


def test_no_two_errors_have_one_code() -> None:
    codes = [each.code for each in SHOWN.values()]
    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize("kind", SHOWN)
def test_a_status_fits_whose_fault_it_is(kind: type[MeshError]) -> None:
    status = SHOWN[kind].status
    may_help = issubclass(kind, errors.RequestError) or kind in (
        errors.Overloaded,
        errors.Cancelled,
    )
    assert (400 <= status < 500) == may_help
    assert retry_headers(kind("x"))["x-should-retry"] == str(kind.retryable).lower()


def test_an_error_below_a_known_one_is_told_as_that() -> None:
    class Rarer(errors.NodeLost):
        pass

    assert shown(Rarer("x")) == SHOWN[errors.NodeLost]
    assert shown(MeshError("x")) == SHOWN[errors.InternalError]


def test_a_refusal_names_its_parameter() -> None:
    refused = Refused("why", hint="do this", param="n", code="c")
    assert error_object(refused) == {
        "message": "why; do this",
        "type": "invalid_request_error",
        "param": "n",
        "code": "c",
    }
