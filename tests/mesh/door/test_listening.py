"""The door's port: loopback alone, at once, and told clearly where it is taken."""

import asyncio
import socket

import pytest

from mesh.door.listening import bind_loopback
from mesh.errors import ServiceError
from tests.mesh.door.conftest import open_door


async def test_a_small_write_goes_at_once() -> None:
    """What asyncio decides by the protocol of the socket that it accepts from."""
    seen: asyncio.Queue[int] = asyncio.Queue()

    def accepted(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted_socket = writer.get_extra_info("socket")
        seen.put_nowait(accepted_socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    for bound in bind_loopback(0):
        address = bound.getsockname()
        async with await asyncio.start_server(accepted, sock=bound):
            _, writer = await asyncio.open_connection(address[0], address[1])
            assert await seen.get() != 0
            writer.close()


async def test_both_names_of_this_machine_lead_to_one_door() -> None:
    async with open_door() as served:
        for host in ("127.0.0.1", "::1") if socket.has_ipv6 else ("127.0.0.1",):
            url = f"http://[{host}]" if ":" in host else f"http://{host}"
            answered = await served.http.get(f"{url}:{served.port}/v1/models")
            assert answered.status_code == 200


async def test_the_door_listens_on_no_other_address() -> None:
    bound = bind_loopback(0)
    assert {each.getsockname()[0] for each in bound} <= {"127.0.0.1", "::1"}
    for each in bound:
        each.close()


async def test_a_port_that_is_taken_is_told_with_the_setting() -> None:
    async with open_door() as served:
        with pytest.raises(ServiceError, match="DESKMESH_PORTS__HTTP"):
            bind_loopback(served.port)


async def test_the_port_is_free_again_at_once() -> None:
    async with open_door() as served:
        assert (await served.chat()).status_code == 200
    for each in bind_loopback(served.port):
        each.close()
