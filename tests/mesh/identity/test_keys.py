"""Keys, and the fingerprints that stand for them."""

import hashlib
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mesh.errors import NotAuthenticated
from mesh.identity.keys import (
    PrivateKey,
    fingerprint,
    is_supported,
    key_to_pem,
    load_key,
    load_or_create_key,
    mesh_id_of,
    new_key,
    save_key,
)


def same(one: PrivateKey, other: PrivateKey) -> bool:
    return key_to_pem(one) == key_to_pem(other)


def test_a_key_comes_back_from_its_file(tmp_path: Path) -> None:
    key = new_key()
    save_key(tmp_path / "key.pem", key)
    assert same(load_key(tmp_path / "key.pem"), key)
    assert (tmp_path / "key.pem").stat().st_mode & 0o777 == 0o600


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    save_key(tmp_path / "key.pem", new_key())
    (tmp_path / "key.pem").chmod(0o640)
    with pytest.raises(NotAuthenticated, match="chmod 600"):
        load_key(tmp_path / "key.pem")
    with pytest.raises(NotAuthenticated, match="chmod 600"):
        load_or_create_key(tmp_path / "key.pem")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_truncated_key_says_what_to_do_and_quotes_nothing(tmp_path: Path, share: float) -> None:
    pem = key_to_pem(new_key())
    path = tmp_path / "key.pem"
    save_key(path, new_key())
    path.write_bytes(pem[: int(len(pem) * share)])
    with pytest.raises(NotAuthenticated, match=r"damaged.*run deskmesh join again") as caught:
        load_key(path)
    assert not any(line in str(caught.value) for line in pem.decode().splitlines() if line)
    assert caught.value.__cause__ is None


def test_a_key_on_another_curve_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    save_key(path, ec.generate_private_key(ec.SECP384R1()))
    with pytest.raises(NotAuthenticated, match="no whole EC P-256 key"):
        load_key(path)


def test_a_key_is_made_once_and_a_damaged_one_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    key = load_or_create_key(path)
    assert same(load_or_create_key(path), key)
    path.write_bytes(b"-----BEGIN PRIVATE KEY-----\nMIG")
    mended = load_or_create_key(path)
    assert not same(mended, key)
    assert same(load_key(path), mended)


def test_all_who_make_the_same_key_at_once_get_the_same_one(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(load_or_create_key, [tmp_path / "key.pem"] * 32))
    assert len({fingerprint(key.public_key()) for key in keys}) == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["key.pem"]


def test_a_fingerprint_is_130_bits_of_the_digest_of_the_public_key() -> None:
    key = new_key().public_key()
    digest = hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    alphabet = "abcdefghijklmnopqrstuvwxyz234567"
    bits = "".join(f"{alphabet.index(letter):05b}" for letter in fingerprint(key))
    assert bits == f"{int(digest.hexdigest(), 16):0256b}"[:130]


def test_a_mesh_id_fits_into_a_dns_label() -> None:
    key = new_key().public_key()
    assert re.fullmatch(r"m[a-z2-7]{15}", mesh_id_of(key))
    assert fingerprint(key).startswith(mesh_id_of(key)[1:])


def test_only_public_keys_on_p256_are_supported() -> None:
    assert is_supported(new_key().public_key())
    assert not is_supported(ec.generate_private_key(ec.SECP384R1()).public_key())
    assert not is_supported(new_key())
