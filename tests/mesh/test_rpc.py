"""Errors and statuses translate one to one."""

from typing import Any

import grpc
import pytest

from mesh import errors
from mesh.core.types import FailureCode
from mesh.errors import MeshError
from mesh.rpc import ERROR_BY_CODE, ERROR_OF, STATUS_OF, abort, from_rpc


def _leaves(base: type[MeshError]) -> set[type[MeshError]]:
    """The errors that may cross the wire: those of mesh.errors, at the ends of the tree."""
    below = [each for each in base.__subclasses__() if each.__module__ == errors.__name__]
    return {leaf for each in below for leaf in _leaves(each)} if below else {base}


def test_every_error_has_a_status_of_its_own() -> None:
    assert set(STATUS_OF) == _leaves(MeshError) - {errors.NodeError, errors.ServiceError}
    assert len(ERROR_OF) == len(STATUS_OF)
    assert len(ERROR_BY_CODE) == len(STATUS_OF)


def test_every_failure_of_the_core_is_an_error_of_the_same_name() -> None:
    named = {code.value for code in FailureCode}
    assert named <= ERROR_BY_CODE.keys()
    assert ERROR_BY_CODE.keys() - named == {"not_authenticated"}


async def failure_of(behaviour: Any) -> grpc.aio.AioRpcError:
    """Call a service that behaves so, and return how the call failed."""
    handler: Any = grpc.unary_unary_rpc_method_handler(behaviour)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("test", {"Fail": handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            call: Any = channel.unary_unary("/test/Fail")
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call(b"")
    finally:
        await server.stop(None)
    return refused.value


@pytest.mark.parametrize("error", list(STATUS_OF))
async def test_an_error_survives_the_wire(error: type[MeshError]) -> None:
    sent = error("what and why", hint="what to do")

    async def fail(_: bytes, context: "grpc.aio.ServicerContext[bytes, bytes]") -> bytes:
        await abort(context, sent)

    received = from_rpc(await failure_of(fail))
    assert type(received) is error
    assert str(received) == "what and why; what to do"


async def test_what_a_service_let_slip_is_a_bug_of_ours() -> None:
    """gRPC makes its own UNKNOWN of it, which is the status of an error of ours too."""

    async def slips(_: bytes, __: "grpc.aio.ServicerContext[bytes, bytes]") -> bytes:
        raise ZeroDivisionError

    failure = await failure_of(slips)
    assert failure.code() is grpc.StatusCode.UNKNOWN
    assert type(from_rpc(failure)) is errors.InternalError
