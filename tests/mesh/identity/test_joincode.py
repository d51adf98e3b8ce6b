"""A join code survives being pasted, and nothing else passes for one."""

import base64
import string
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.errors import InvalidRequest
from mesh.identity.address import join_address, split_address
from mesh.identity.joincode import CODE_CHARACTERS_MAX, PREFIX, JoinCode
from tests.mesh.identity.conftest import untimed

CODE = JoinCode(bytes(range(32)), b"sixteen secrets!", ("192.168.1.20:7444", "[fe80::1%en0]:7444"))
TEXT = CODE.encode()

labels = st.text(string.ascii_letters + string.digits + "-_", min_size=1, max_size=63)
hosts = st.one_of(
    st.lists(labels, min_size=1, max_size=4).map(".".join).filter(lambda host: len(host) <= 253),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(str),
)
addresses = st.builds(join_address, hosts, st.integers(1, 65535))
codes = st.builds(
    JoinCode,
    st.binary(min_size=32, max_size=32),
    st.binary(min_size=16, max_size=16),
    st.lists(addresses, max_size=4).map(tuple),
)


@untimed
@given(codes, st.sampled_from(["", " ", "\n", "\t  \r\n"]))
def test_a_code_comes_back_as_it_was(code: JoinCode, space: str) -> None:
    text = code.encode()
    assert len(text) <= CODE_CHARACTERS_MAX
    assert JoinCode.decode(space + text + space) == code


def test_a_code_survives_wrapped_lines_and_changed_case() -> None:
    assert JoinCode.decode(TEXT[:40] + "\n  " + TEXT[40:]) == CODE
    assert JoinCode.decode(TEXT.upper()) == CODE


def test_every_single_wrong_character_is_noticed() -> None:
    characters = string.ascii_lowercase + string.digits + "-_=/+ é"
    for position, right in enumerate(TEXT):
        for wrong in characters.replace(right, ""):
            with pytest.raises(InvalidRequest):
                JoinCode.decode(TEXT[:position] + wrong + TEXT[position + 1 :])


def test_every_missing_doubled_or_swapped_character_is_noticed() -> None:
    for position in range(len(TEXT)):
        before, here, after = TEXT[:position], TEXT[position], TEXT[position + 1 :]
        wrong = {before + after, before + here + here + after}
        if after and after[0] != here:
            wrong.add(before + after[0] + here + after[1:])
        for text in wrong - {TEXT}:
            with pytest.raises(InvalidRequest):
                JoinCode.decode(text)


def test_a_truncated_code_is_noticed() -> None:
    for length in range(len(TEXT)):
        with pytest.raises(InvalidRequest, match=r"join code .*copy the whole code again"):
            JoinCode.decode(TEXT[:length])


@untimed
@given(st.text(alphabet=st.characters(max_codepoint=0x24F), max_size=100), st.booleans())
def test_no_other_text_passes_for_a_code_or_crashes(text: str, with_prefix: bool) -> None:
    with pytest.raises(InvalidRequest):
        JoinCode.decode(PREFIX + text if with_prefix else text)


@pytest.mark.parametrize(
    "addresses",
    [
        b"\0",
        b"\0\x09host:744",
        b"\xff\xff" + b"a" * 300,
        b"\0\x06h\xc3\xa9st:1",
        b"\0\0",
        b"\0\x04host",
    ],
)
def test_a_code_made_by_someone_else_with_a_right_checksum_is_still_checked(
    addresses: bytes,
) -> None:
    content = CODE.authority_sha256 + CODE.secret + addresses
    whole = content + zlib.crc32(content).to_bytes(4)
    text = PREFIX + base64.b32encode(whole).decode().rstrip("=")
    with pytest.raises(InvalidRequest):
        JoinCode.decode(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "does not begin with dm1-"),
        ("https://example.com", "does not begin with dm1-"),
        (TEXT.replace("dm1-", "dm2-"), "another version"),
        (TEXT[:-1], "mistyped or cut short"),
        ("dm1-" + "a" * CODE_CHARACTERS_MAX, "too long"),
    ],
)
def test_a_wrong_code_says_why_and_is_not_repeated(text: str, why: str) -> None:
    with pytest.raises(InvalidRequest, match=why) as caught:
        JoinCode.decode(text)
    assert len(text) < 6 or text not in str(caught.value)


def test_no_repr_shows_the_secret() -> None:
    secret = CODE.secret
    shown = f"{CODE!r} {CODE} {[CODE]}"
    for form in (repr(secret)[2:-1], secret.hex(), base64.b64encode(secret).decode(), TEXT[20:40]):
        assert form not in shown
    assert "192.168.1.20:7444" in shown


@pytest.mark.parametrize(
    ("authority", "secret", "addresses"),
    [
        (b"short", b"s" * 16, ()),
        (b"a" * 32, b"short", ()),
        (b"a" * 32, b"s" * 16, ("host:1",) * 5),
        (b"a" * 32, b"s" * 16, ("host",)),
    ],
)
def test_a_code_that_could_not_be_read_is_not_made(
    authority: bytes, secret: bytes, addresses: tuple[str, ...]
) -> None:
    with pytest.raises(InvalidRequest):
        JoinCode(authority, secret, addresses)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "host",
        "host:",
        ":7444",
        "host:0",
        "host:65536",
        "host:7444 ",
        "host:\N{ARABIC-INDIC DIGIT SEVEN}",
        "a b:7444",
        "a..b:7444",
        ".a:7444",
        "::1:7444",
        "[::1]7444",
        "[host]:7444",
        "h" * 64 + ":7444",
        ".".join(["h" * 63] * 4) + ":7444",
    ],
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(InvalidRequest, match="host:port"):
        split_address(address)


@untimed
@given(hosts, st.integers(1, 65535))
def test_an_address_comes_apart_as_it_was_joined(host: str, port: int) -> None:
    assert split_address(join_address(host, port)) == (host, port)
