"""The key and the prompts go to one address and nowhere else, and the key is seen nowhere else."""

import asyncio
import logging
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import ValidationError

from coordinator.cloud.connection import new_client, read_address
from coordinator.cloud.keys import read_key
from coordinator.cloud.openai.api import limit_field
from coordinator.cloud.opening import open_upstreams
from mesh.cloud_settings import CloudSettings, UpstreamSettings
from mesh.errors import InvalidRequest, MeshError, NotAuthenticated, ServiceError
from mesh.v1 import inference_pb2 as inference
from tests.coordinator.cloud.asking import PROMPT, Fleet, a_request, adapter
from tests.coordinator.cloud.conftest import KEY, MODEL
from tests.coordinator.cloud.played_upstream import PlayedUpstream
from tests.coordinator.cloud.test_gate import a_gate

SECRET = "sk-live-not-to-be-seen"
LOOPBACK = IPv4Address("127.0.0.1")

# -- the address -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base_url", "name"),
    [
        ("https://api.example.com/v1", "api.example.com"),
        ("https://api.example.com:8443/v1/", "api.example.com:8443"),
        ("HTTPS://API.EXAMPLE.COM", "api.example.com"),
        ("http://localhost:8080/v1", "localhost:8080"),
        ("http://127.0.0.1:8080", "127.0.0.1:8080"),
        ("http://127.8.9.10:8080", "127.8.9.10:8080"),
        ("http://[::1]:8080/v1", "[::1]:8080"),
    ],
)
def test_an_address_of_https_or_of_this_machine_is_taken(base_url: str, name: str) -> None:
    address = read_address(base_url)
    assert address.name == name
    assert "//chat" not in address.endpoint("/chat/completions", {})


@pytest.mark.parametrize(
    ("base_url", "why"),
    [
        ("http://api.example.com/v1", "plain http"),
        ("http://192.168.1.5:8080/v1", "plain http"),
        ("http://0.0.0.0:8080", "plain http"),
        ("http://localhost.example.com", "plain http"),
        ("http://127.0.0.1.example.com", "plain http"),
        ("http://2130706433/", "plain http"),
        ("http://[::ffff:10.0.0.1]/", "plain http"),
        ("ftp://api.example.com", "must begin with https"),
        ("api.example.com/v1", "must begin with https"),
        ("file:///etc/passwd", "must begin with https"),
        ("https://", "must begin with https"),
        ("https://user:pass@api.example.com", "holds a password"),
        (f"https://{SECRET}@api.example.com", "holds a password"),
        ("https://api.example.com/v1?key=1", "must end with a path"),
        ("https://api.example.com/v1#x", "must end with a path"),
        ("https://api.example.com/v 1", "must end with a path"),
        ("https://api.example.com/v1\r\nx: y", "must end with a path"),
        ("https://api.example.com:port", "is no URL"),
        ("https://[::1", "is no URL"),
    ],
)
def test_an_address_that_is_not_safe_is_refused_with_why(base_url: str, why: str) -> None:
    with pytest.raises(InvalidRequest, match=why) as refused:
        read_address(base_url)
    assert str(refused.value).startswith("cloud.base_url ")
    assert SECRET not in f"{refused.value} {refused.value.hint}"


@pytest.mark.parametrize("name", ["a\r\nx: y", "a\x1b[2J", "", " ", "a b"])
def test_a_models_name_is_one_word(cloud_settings: CloudSettings, name: str) -> None:
    with pytest.raises((InvalidRequest, ValidationError), match=r"cloud\.model"):
        open_upstreams(
            CloudSettings.model_validate({**cloud_settings.model_dump(), "model": name}),
            lambda _: None,
        )


# -- the key ---------------------------------------------------------------------------------------


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    file = tmp_path / "key"
    file.write_text(f"{SECRET}\n")
    file.chmod(0o600)
    return file


def in_file(file: Path) -> CloudSettings:
    return CloudSettings(api_key_file=file)


def test_a_key_comes_from_a_private_file_without_its_line_end(key_file: Path) -> None:
    assert read_key(in_file(key_file)) == SECRET
    key_file.chmod(0o400)
    assert read_key(in_file(key_file)) == SECRET


def test_a_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from mesh.settings import load_settings

    monkeypatch.setenv("DESKMESH_HOME", str(tmp_path))
    monkeypatch.setenv("DESKMESH_CLOUD__API_KEY", SECRET)
    settings = load_settings()
    assert read_key(settings.cloud) == SECRET
    for shown in (repr(settings), str(settings), settings.model_dump_json()):
        assert SECRET not in shown


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o666, 0o601])
def test_a_key_file_that_others_may_open_is_not_used(key_file: Path, mode: int) -> None:
    key_file.chmod(mode)
    with pytest.raises(NotAuthenticated, match="open to other users") as refused:
        read_key(in_file(key_file))
    assert f"chmod 600 {key_file}" in refused.value.hint


def test_an_upstream_may_need_no_key() -> None:
    assert read_key(CloudSettings()) == ""


def test_two_keys_are_one_too_many(key_file: Path) -> None:
    both = CloudSettings.model_validate({"api_key": KEY, "api_key_file": key_file})
    with pytest.raises(InvalidRequest, match="both set"):
        read_key(both)


def test_a_key_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="there is no such file"):
        read_key(in_file(tmp_path / "nothing"))
    with pytest.raises(ServiceError, match="cannot read"):
        read_key(in_file(tmp_path))


@pytest.mark.parametrize(
    "key",
    [
        f"{SECRET}\r\nx-evil: 1",
        f"{SECRET}\nanother",
        f"{SECRET} another",
        f"Bearer {SECRET}",
        f"{SECRET}\x00",
        f"{SECRET}\u010d",
        f"{SECRET}\u2028",
        SECRET * 1000,
    ],
)
def test_what_no_header_may_carry_is_no_key(key_file: Path, key: str) -> None:
    key_file.write_text(key)
    for settings in (in_file(key_file), CloudSettings.model_validate({"api_key": key})):
        with pytest.raises(InvalidRequest, match="holds no key, or more than a key") as refused:
            read_key(settings)
        assert SECRET not in f"{refused.value} {refused.value.hint}"


@pytest.mark.parametrize("content", [b"", b"\n", b"  \n\n", b"\xff\xfes\x00k\x00"])
def test_an_empty_or_foreign_file_is_no_key(key_file: Path, content: bytes) -> None:
    key_file.write_bytes(content)
    with pytest.raises(InvalidRequest, match="holds no key"):
        read_key(in_file(key_file))


@pytest.mark.parametrize(
    ("more", "carried"),
    [
        ({}, ("authorization", f"Bearer {KEY}")),
        ({"kind": "anthropic"}, ("x-api-key", KEY)),
        ({"api_key_header": "api-key"}, ("api-key", KEY)),
    ],
)
async def test_nothing_that_is_shown_or_logged_has_the_key(
    cloud_settings: CloudSettings,
    upstream: PlayedUpstream,
    caplog: pytest.LogCaptureFixture,
    more: dict[str, str],
    carried: tuple[str, str],
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger().setLevel(logging.DEBUG)
    single = cloud_settings.single()
    assert single is not None
    table = UpstreamSettings.model_validate({**dict(single), **more})
    settings = CloudSettings(max_usd_per_day=5.0, upstreams={"there": table})
    async with adapter(settings) as fleet:
        await fleet.ask()
        client = fleet.upstream._client
        shown = [fleet.cloud, fleet.upstream, client, fleet.upstream._gate, fleet.heard]
        shown += [client.headers, client.build_request("GET", upstream.base_url)]
        shown += [client.headers.raw, client._transport, vars(client._transport)]
        shown += [settings, vars(fleet.upstream), vars(fleet.cloud), fleet.upstream._api]
        for each in shown:
            assert KEY not in f"{each!r} {each!s}"
    name, value = carried
    assert upstream.asked[0].headers[name] == value
    for record in caplog.records:
        assert KEY not in f"{record.getMessage()} {record.args}"
        assert PROMPT not in f"{record.getMessage()} {record.args}"


async def test_without_a_key_no_header_pretends_to_one(
    cloud_settings: CloudSettings, upstream: PlayedUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    bare = CloudSettings.model_validate({**cloud_settings.model_dump(), "api_key": ""})
    async with adapter(bare) as fleet:
        await fleet.answer()
    assert "authorization" not in upstream.asked[0].headers


# -- elsewhere -------------------------------------------------------------------------------------


PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")


@pytest.fixture
def proxy(upstream: PlayedUpstream, monkeypatch: pytest.MonkeyPatch) -> str:
    """The environment names a proxy; here it is the played upstream's port."""
    address = f"http://127.0.0.1:{upstream.port}"
    for name in PROXIES:
        monkeypatch.setenv(name, address)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    return address


async def test_plain_http_on_this_machine_goes_through_no_proxy(
    cloud_settings: CloudSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = PlayedUpstream()
    await reader.start()
    for name in PROXIES:
        monkeypatch.setenv(name, reader.base_url)
    async with adapter(cloud_settings) as fleet:
        await fleet.answer()
    assert reader.connections == 0
    await reader.stop()


async def test_a_server_of_this_machine_that_closes_idle_connections_costs_no_call(
    cloud_settings: CloudSettings, upstream: PlayedUpstream
) -> None:
    async with adapter(cloud_settings) as fleet:
        for _ in range(3):
            await fleet.ask()
    assert upstream.connections == 3  # none is kept that it might close just as a call is sent


async def test_a_proxy_sees_a_host_name_and_neither_key_nor_prompt(
    cloud_settings: CloudSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bytes] = []

    async def refuses(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 403 No\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        seen.append(await reader.read())
        writer.close()

    async with await asyncio.start_server(refuses, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        away = cloud_settings.model_copy(update={"base_url": "https://api.example.com/v1"})
        async with adapter(away) as fleet:
            failure = await fleet.failure()
            assert fleet.spent_microusd == 0
    assert failure.message == "the proxy on the way to the upstream refused"
    assert seen[0].startswith(b"CONNECT api.example.com:443 ")
    for secret in (KEY, PROMPT, MODEL):
        assert secret.encode() not in b"".join(seen)


async def test_what_netrc_says_is_not_sent(
    cloud_settings: CloudSettings,
    upstream: PlayedUpstream,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine 127.0.0.1 login me password {SECRET}\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    async with adapter(cloud_settings) as fleet:
        await fleet.answer()
    assert upstream.asked[0].headers["authorization"] == f"Bearer {KEY}"


def test_a_proxy_that_cannot_be_used_is_named_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"gopher://{SECRET}@proxy.example")
    with pytest.raises(MeshError, match="names a proxy") as refused:
        new_client(read_address("https://api.example.com/v1"), {}, a_gate())
    assert SECRET not in f"{refused.value} {refused.value.hint}"


async def test_an_upstream_whose_certificate_nobody_vouches_for_gets_nothing(
    cloud_settings: CloudSettings, self_signed: ssl.SSLContext
) -> None:
    heard: list[bytes] = []

    async def hears(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read())
        writer.close()

    async with await asyncio.start_server(hears, "127.0.0.1", 0, ssl=self_signed) as server:
        away = {"base_url": f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"}
        async with adapter(cloud_settings.model_copy(update=away)) as fleet:
            failure = await fleet.failure()
            assert fleet.spent_microusd == 0
    assert failure.message == "the upstream's certificate is not one that this machine trusts"
    assert b"".join(heard) == b""


@pytest.fixture
def self_signed(tmp_path: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(LOOPBACK)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    both = tmp_path / "self-signed.pem"
    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain)
    both.write_bytes(private + certificate.public_bytes(encoding))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    return context


async def test_a_clients_words_are_in_the_body_alone(
    fleet: Fleet, upstream: PlayedUpstream
) -> None:
    evil = "cloud\r\nx-evil: 1"
    origin = inference.Origin(team=evil, task_id=evil, tags=[evil])
    await fleet.ask(a_request(model=evil, session=evil, request_id=evil, origin=origin))
    [asked] = upstream.asked
    assert asked.line == "POST /v1/chat/completions HTTP/1.1"
    assert set(asked.headers) == {
        "host",
        "accept",
        "accept-encoding",
        "authorization",
        "connection",
        "content-length",
        "content-type",
        "user-agent",
    }
    assert evil not in str(asked.body), "neither who asks nor by which name"


def test_openai_itself_is_told_the_limit_by_its_own_name() -> None:
    for host in ("api.openai.com", "x.openai.azure.com"):
        assert limit_field(host) == "max_completion_tokens"
    for host in ("api.openai.com.example", "localhost"):
        assert limit_field(host) == "max_tokens"
