"""A joiner learns the CA of the mesh that its code is of, and of no other."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from mesh.errors import InvalidRequest, NodeLost, NotAuthenticated
from mesh.identity.authority import Authority
from mesh.identity.bootstrap import fetch_authority
from mesh.identity.machine import MachineIdentity
from mesh.identity.peer import PeerRole
from mesh.identity.tls import joining_credentials, name_override, server_credentials
from tests.mesh.identity.conftest import enrolled, refused, serving, who_am_i

TIMEOUT_S = 10.0

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def answering(answer: Answer, context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Serve bytes that are not gRPC's on a free loopback port and yield the address."""
    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


def tls_of(identity: MachineIdentity, folder: Path, *extra: bytes) -> ssl.SSLContext:
    file = folder / "server.pem"
    file.write_bytes(identity.key_pem + identity.certificate_pem + b"".join(extra))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    context.set_alpn_protocols(["h2"])
    return context


@pytest.mark.parametrize("require_client", [False, True])
async def test_the_authority_in_the_code_is_fetched_from_the_coordinator(
    authority: Authority, require_client: bool
) -> None:
    coordinator = enrolled(authority, PeerRole.COORDINATOR)
    credentials = server_credentials(lambda: coordinator, require_client=require_client)
    async with serving(credentials) as port:
        fetched = await fetch_authority(f"127.0.0.1:{port}", authority.sha256, timeout_s=TIMEOUT_S)
    assert fetched == authority.certificate_pem


async def test_the_fetched_authority_opens_a_verified_channel_to_the_join_port(
    authority: Authority,
) -> None:
    coordinator = enrolled(authority, PeerRole.COORDINATOR)
    credentials = server_credentials(lambda: coordinator, require_client=False)
    async with serving(credentials) as port:
        root = await fetch_authority(f"127.0.0.1:{port}", authority.sha256, timeout_s=TIMEOUT_S)
        assert await who_am_i(port, joining_credentials(root), name_override(root)) == b""


async def test_a_coordinator_of_another_mesh_is_refused(
    authority: Authority, other_authority: Authority
) -> None:
    coordinator = enrolled(other_authority, PeerRole.COORDINATOR)
    credentials = server_credentials(lambda: coordinator, require_client=False)
    async with serving(credentials) as port:
        with pytest.raises(NotAuthenticated, match="someone else answers there, or the code is"):
            await fetch_authority(f"127.0.0.1:{port}", authority.sha256, timeout_s=TIMEOUT_S)


async def test_whoever_only_has_a_copy_of_the_authority_never_gets_the_secret(
    authority: Authority, other_authority: Authority
) -> None:
    # The CA's certificate is public, so an impostor may show it; the next connection finds out.
    thief = enrolled(other_authority, PeerRole.COORDINATOR)
    impostor = MachineIdentity(
        peer=thief.peer,
        key_pem=thief.key_pem,
        certificate_pem=thief.certificate_pem,
        authority_pem=authority.certificate_pem,
        valid_from_s=thief.valid_from_s,
        expires_at_s=thief.expires_at_s,
    )
    async with serving(server_credentials(lambda: impostor, require_client=False)) as port:
        root = await fetch_authority(f"127.0.0.1:{port}", authority.sha256, timeout_s=TIMEOUT_S)
        await refused(port, joining_credentials(root), name_override(root))


async def test_a_server_that_does_not_show_the_authority_is_refused(
    authority: Authority, tmp_path: Path
) -> None:
    # This server answers from the test's own loop: the fetch does not block it.
    context = tls_of(enrolled(authority, PeerRole.COORDINATOR), tmp_path)
    async with answering(hang_up, context) as address:
        with pytest.raises(NotAuthenticated, match="does not prove"):
            await fetch_authority(address, authority.sha256, timeout_s=TIMEOUT_S)


async def test_tls_1_2_serves_as_well(authority: Authority, tmp_path: Path) -> None:
    context = tls_of(enrolled(authority, PeerRole.COORDINATOR), tmp_path, authority.certificate_pem)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with answering(hang_up, context) as address:
        fetched = await fetch_authority(address, authority.sha256, timeout_s=TIMEOUT_S)
    assert fetched == authority.certificate_pem


async def test_the_handshake_offers_http_2_and_names_no_server(
    authority: Authority, tmp_path: Path
) -> None:
    # gRPC's server refuses whoever does not offer h2, and logs an error at a name not its own.
    named: list[str | None] = []
    offered: asyncio.Queue[str | None] = asyncio.Queue()
    context = tls_of(enrolled(authority, PeerRole.COORDINATOR), tmp_path, authority.certificate_pem)
    context.sni_callback = lambda connection, name, context: named.append(name)

    async def look(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        offered.put_nowait(writer.get_extra_info("ssl_object").selected_alpn_protocol())
        writer.transport.abort()

    async with answering(look, context) as address:
        await fetch_authority(address, authority.sha256, timeout_s=TIMEOUT_S)
        assert await asyncio.wait_for(offered.get(), TIMEOUT_S) == "h2"
    assert named == [None]


async def test_a_port_where_nobody_listens_is_unreachable(authority: Authority) -> None:
    async with answering(hang_up) as address:
        pass
    with pytest.raises(NodeLost, match=r"no coordinator can be reached at 127\.0\.0\.1"):
        await fetch_authority(address, authority.sha256, timeout_s=TIMEOUT_S)


async def test_a_host_that_does_not_exist_is_unreachable(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(host: str, *rest: object, **more: object) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)  # not every network answers this quickly
    with pytest.raises(NodeLost, match=r"reached at nowhere\.invalid:7444: Name or service"):
        await fetch_authority("nowhere.invalid:7444", authority.sha256, timeout_s=TIMEOUT_S)


async def test_a_server_that_hangs_up_is_unreachable(authority: Authority) -> None:
    async with answering(hang_up) as address:
        with pytest.raises(NodeLost):
            await fetch_authority(address, authority.sha256, timeout_s=TIMEOUT_S)


async def test_a_server_that_says_nothing_is_given_up_in_time(authority: Authority) -> None:
    gone = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(4096):
            pass
        gone.set()
        writer.close()

    async with answering(say_nothing) as address:
        with pytest.raises(NodeLost, match=r"no answer within 0\.05 s"):
            await fetch_authority(address, authority.sha256, timeout_s=0.05)
        await asyncio.wait_for(gone.wait(), TIMEOUT_S)  # no connection is left behind


async def test_a_server_of_another_protocol_is_refused(authority: Authority) -> None:
    async def speak_ssh(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
        await reader.read(1)
        writer.close()

    async with answering(speak_ssh) as address:
        with pytest.raises(NotAuthenticated, match="does not answer as a coordinator"):
            await fetch_authority(address, authority.sha256, timeout_s=TIMEOUT_S)


async def test_cancelling_the_fetch_ends_it_at_once(authority: Authority) -> None:
    connected = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.set()
        await reader.read()
        writer.close()

    async with answering(say_nothing) as address, asyncio.TaskGroup() as tasks:
        fetching = tasks.create_task(
            fetch_authority(address, authority.sha256, timeout_s=TIMEOUT_S)
        )
        await connected.wait()
        fetching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await fetching


async def test_an_address_without_a_port_is_the_callers_fault(authority: Authority) -> None:
    with pytest.raises(InvalidRequest, match="host:port"):
        await fetch_authority("127.0.0.1", authority.sha256, timeout_s=TIMEOUT_S)
