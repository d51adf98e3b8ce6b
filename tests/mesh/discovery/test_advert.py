"""What a machine says of itself fits, survives hostile input, and keeps to its mode."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.discovery.advert import (
    LEFT_OFF_MAX,
    TXT_BYTES_MAX,
    Advert,
    Role,
    decode,
    digest_of,
    encode,
    size_bytes,
)
from mesh.discovery.load_bucket import LoadBucket
from mesh.settings import Advertise

NODE = Advert(
    machine_id="k7d2n5qwx3mbv8r4t6yzac9fhj",
    mesh_id="mesh-5f3a",
    version="0.1.0",
    role=Role.NODE,
    name="Ada's laptop",
    models=("qwen3-4b", "llama3.2-1b"),
    models_digest="0123456789ab",
    load=LoadBucket.LIGHT,
)
COORDINATOR = dataclasses.replace(
    NODE, role=Role.COORDINATOR, mesh_port=7443, join_port=7444, models=(), load=None
)

UNTIMED = settings(deadline=None, max_examples=30)  # busy machines are slow at random

ANY_TEXT = st.text(st.characters())  # surrogates too: names come from file names and metadata
ADVERTS = st.builds(
    Advert,
    machine_id=st.from_regex(r"[0-9a-z-]{1,26}", fullmatch=True),
    mesh_id=st.from_regex(r"[0-9a-z-]{0,32}", fullmatch=True),
    version=ANY_TEXT,
    role=st.just(Role.NODE),
    name=ANY_TEXT,
    models=st.lists(ANY_TEXT, max_size=40).map(tuple),
    models_digest=st.from_regex(r"[0-9a-f]{0,16}", fullmatch=True),
    models_left_off=st.integers(0, LEFT_OFF_MAX),
    load=st.none() | st.sampled_from(LoadBucket),
)
VALUES = st.none() | st.binary(max_size=300)
KEYS = st.sampled_from([b"txtvers", b"id", b"m", b"v", b"r", b"n", b"j", b"d", b"k", b"x", b"l"])


def test_a_node_is_read_back_as_it_was() -> None:
    assert decode(encode(NODE, Advertise.FULL), port=0) == NODE


def test_a_coordinator_is_read_back_with_its_two_ports() -> None:
    advert = decode(encode(COORDINATOR, Advertise.FULL), port=7443)
    assert advert == COORDINATOR
    assert (advert.mesh_port, advert.join_port) == (7443, 7444)


def test_a_minimal_advert_tells_neither_models_nor_load() -> None:
    advert = decode(encode(NODE, Advertise.MINIMAL), port=0)
    assert (advert.models, advert.models_digest, advert.load) == ((), "", None)
    assert (advert.machine_id, advert.mesh_id, advert.name) == (
        NODE.machine_id,
        NODE.mesh_id,
        NODE.name,
    )


def test_a_minimal_advert_does_not_change_with_models_or_load() -> None:
    busy = dataclasses.replace(NODE, models=("x",), models_digest="ff", load=LoadBucket.FULL)
    assert encode(busy, Advertise.MINIMAL) == encode(NODE, Advertise.MINIMAL)


def test_an_advert_that_is_off_says_nothing() -> None:
    assert encode(NODE, Advertise.OFF) == {}


@UNTIMED
@given(ADVERTS)
def test_any_names_in_any_script_fit_the_record(advert: Advert) -> None:
    properties = encode(advert, Advertise.FULL)
    assert size_bytes(properties) <= TXT_BYTES_MAX
    assert all(len(key) + 1 + len(value) <= 255 for key, value in properties.items())


@UNTIMED
@given(ADVERTS)
def test_every_name_of_a_model_is_told_or_counted_as_left_off(advert: Advert) -> None:
    heard = decode(encode(advert, Advertise.FULL), port=0)
    left_off = len(advert.models) + advert.models_left_off - len(heard.models)
    assert heard.models_left_off == min(left_off, LEFT_OFF_MAX)


@UNTIMED
@given(st.lists(st.text(st.characters(categories=["L", "N", "P"]), min_size=1), max_size=40))
def test_names_keep_their_order(names: list[str]) -> None:
    advert = dataclasses.replace(NODE, models=tuple(names))
    heard = decode(encode(advert, Advertise.FULL), port=0)
    remaining = iter(names)
    assert all(name in remaining for name in heard.models)  # a subsequence


@UNTIMED
@given(ADVERTS)
def test_whatever_was_read_is_written_the_same_again(advert: Advert) -> None:
    properties = encode(advert, Advertise.FULL)
    assert encode(decode(properties, port=0), Advertise.FULL) == properties


def test_the_room_is_used_up_and_never_exceeded() -> None:
    for length in range(33):
        advert = dataclasses.replace(
            NODE, name="n" * 63, version="v" * 16, mesh_id="m" * length, models=("a",) * 400
        )
        size = size_bytes(encode(advert, Advertise.FULL))
        assert TXT_BYTES_MAX - 3 <= size <= TXT_BYTES_MAX


def test_names_that_do_not_fit_make_room_for_shorter_ones() -> None:
    advert = dataclasses.replace(NODE, models=("a" * 300, "short", "b" * 300, "tiny"))
    heard = decode(encode(advert, Advertise.FULL), port=0)
    assert heard.models == ("short", "tiny")
    assert heard.models_left_off == 2


def test_commas_and_per_cent_signs_in_a_name_survive() -> None:
    names = ("a,b", "100%", "%2C", ",", "%25,")
    heard = decode(encode(dataclasses.replace(NODE, models=names), Advertise.FULL), port=0)
    assert heard.models == names


@pytest.mark.parametrize("name", ["本地模型", "نموذج", "मॉडल‍", "модель", "🦙" * 20])
def test_names_of_every_script_are_told(name: str) -> None:
    heard = decode(encode(dataclasses.replace(NODE, models=(name,)), Advertise.FULL), port=0)
    assert heard.models == (name,)


def test_a_long_name_of_a_machine_is_cut_between_two_characters() -> None:
    heard = decode(encode(dataclasses.replace(NODE, name="é" * 64), Advertise.FULL), port=0)
    assert heard.name == "é" * 31


def test_text_from_strangers_cannot_steer_a_terminal() -> None:
    properties = encode(NODE, Advertise.FULL) | {b"n": "\x1b[2J\u202ename\n".encode()}
    assert decode(properties, port=0).name == "?[2J?name?"


@UNTIMED
@given(st.dictionaries(KEYS | st.binary(max_size=10), VALUES, max_size=20), st.integers(0, 65535))
def test_any_bytes_are_read_or_refused(properties: dict[bytes, bytes | None], port: int) -> None:
    try:
        advert = decode(properties, port=port)
    except ValueError:
        return
    assert isinstance(advert, Advert)


@UNTIMED
@given(KEYS, VALUES, st.integers(0, 65535))
def test_one_wrong_value_is_read_or_refused(key: bytes, value: bytes | None, port: int) -> None:
    properties: dict[bytes, bytes | None] = {**encode(COORDINATOR, Advertise.FULL), key: value}
    try:
        advert = decode(properties, port=port)
    except ValueError:
        return
    assert advert.role is Role.NODE or advert.mesh_port == port


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"txtvers", b"2"),
        (b"txtvers", None),
        (b"id", b""),
        (b"id", b"a.b"),
        (b"id", b"a" * 27),
        (b"id", b"A"),
        (b"m", b"\xff"),
        (b"m", None),
        (b"r", b"x"),
        (b"r", None),
        (b"n", b"\xc3"),
        (b"j", b"-1"),
        (b"j", b"65536"),
        (b"j", "\u0667".encode()),
        (b"x", b"123456"),
        (b"l", b"4"),
        (b"d", b"xyz"),
        (b"unknown", b"a" * 400),
    ],
)
def test_malformed_records_are_refused(key: bytes, value: bytes | None) -> None:
    properties: dict[bytes, bytes | None] = {**encode(COORDINATOR, Advertise.FULL), key: value}
    with pytest.raises(ValueError, match=r".+"):
        decode(properties, port=7443)


@pytest.mark.parametrize("wrong", [{"id": b"a"}, {b"id": "a"}, {b"id": 7}, {7: b""}])
def test_values_of_another_type_are_refused(wrong: dict[bytes, bytes | None]) -> None:
    with pytest.raises(ValueError, match="not bytes"):
        decode({**encode(NODE, Advertise.FULL), **wrong}, port=0)


def test_keys_of_a_later_version_are_ignored() -> None:
    assert decode({**encode(NODE, Advertise.FULL), b"later": b"1"}, port=0) == NODE


def test_a_coordinator_without_a_port_is_refused() -> None:
    with pytest.raises(ValueError, match="ports"):
        decode(encode(COORDINATOR, Advertise.FULL), port=0)


def test_a_node_never_names_a_port() -> None:
    assert decode(encode(NODE, Advertise.FULL), port=8443).mesh_port == 0
    with pytest.raises(ValueError, match="names no port"):
        dataclasses.replace(NODE, mesh_port=7443)


def test_the_digest_ignores_the_order_and_sees_every_change() -> None:
    assert digest_of(["a", "b"]) == digest_of(["b", "a"])
    assert len({digest_of([]), digest_of(["a"]), digest_of(["a", "b"]), digest_of(["ab"])}) == 4
