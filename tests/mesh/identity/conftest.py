"""Real authorities, real certificates, and a real grpc.aio server that says who called it."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from grpc import aio
from hypothesis import settings

from mesh.home import Home
from mesh.identity.authority import Authority
from mesh.identity.keys import new_key
from mesh.identity.machine import MachineIdentity
from mesh.identity.peer import PeerRole
from mesh.identity.tls import ChannelOptions

# Long enough for a loaded machine; a refused handshake is answered at once, never waited for.
CALL_TIMEOUT_S = 10.0

untimed = settings(deadline=None)  # for @given: a busy machine is no failure


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def authority(home: Home) -> Authority:
    return Authority.create_or_load(home, now_s=time.time())


@pytest.fixture
def other_authority(tmp_path: Path) -> Authority:
    """The CA of another mesh."""
    return Authority.create_or_load(Home(tmp_path / "other"), now_s=time.time())


def enrolled(
    authority: Authority, role: PeerRole, *, now_s: float | None = None
) -> MachineIdentity:
    """Return a machine with a new key and a certificate of ``authority``."""
    return authority.enrol(new_key(), role, now_s=time.time() if now_s is None else now_s)


@asynccontextmanager
async def serving(credentials: grpc.ServerCredentials) -> AsyncIterator[int]:
    """Serve ``/test/WhoAmI`` on a free loopback port and yield the port."""
    server = aio.server()
    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(_who_am_i)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("test", {"WhoAmI": handler}),)
    )
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    try:
        yield port
    finally:
        await server.stop(grace=None)


async def who_am_i(
    port: int, credentials: grpc.ChannelCredentials, options: ChannelOptions
) -> bytes:
    """Return the certificate by which the server knows the caller, empty if by none."""
    async with aio.secure_channel(f"127.0.0.1:{port}", credentials, options=options) as channel:
        call: aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/test/WhoAmI")
        return await call(b"", timeout=CALL_TIMEOUT_S)


async def refused(port: int, credentials: grpc.ChannelCredentials, options: ChannelOptions) -> str:
    """Return why the connection was refused; fail if it was not."""
    with pytest.raises(aio.AioRpcError) as caught:
        await who_am_i(port, credentials, options)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    return caught.value.details() or ""


async def _who_am_i(request: bytes, context: aio.ServicerContext[bytes, bytes]) -> bytes:
    certificates = context.auth_context().get("x509_pem_cert", ())
    return next(iter(certificates), b"")
