"""How sure a model was, in few bytes and back."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.core.signs import CANDIDATES, SIGN_BYTES, TOP, TokenSign, pack_signs, unpack_signs

WEIGHTS = st.lists(st.floats(1e-9, 1.0), min_size=1, max_size=CANDIDATES)


def a_sign(weights: list[float], rank: int = 0) -> TokenSign:
    whole = math.fsum(weights)
    top = sorted((weight / whole for weight in weights), reverse=True)
    return TokenSign(tuple(top[:TOP]), rank)


SIGNS = st.lists(st.builds(a_sign, WEIGHTS, st.integers(0, CANDIDATES)), min_size=1, max_size=5)


@given(SIGNS)
def test_a_sign_comes_back_as_it_was_but_for_the_last_digits(signs: list[TokenSign]) -> None:
    packed = pack_signs(signs)
    assert len(packed) == len(signs) * SIGN_BYTES
    back = unpack_signs(packed, len(signs))
    assert back is not None
    for sign, read in zip(signs, back, strict=True):
        padded = (*sign.top, 0.0, 0.0, 0.0)[:TOP]
        assert read.top == pytest.approx(padded, abs=1 / 2**15)
        assert read.rank == sign.rank
        assert sum(read.top) <= 1
        assert list(read.top) == sorted(read.top, reverse=True)
    assert pack_signs(back) == packed, "an agent passes on what its engine told"


def test_who_is_certain_stays_so() -> None:
    assert unpack_signs(pack_signs([TokenSign((1.0,))]), 1) == (TokenSign((1.0, 0.0, 0.0, 0.0)),)


def test_no_signs_are_none_of_any_tokens() -> None:
    assert unpack_signs(b"", 7) == ()


HONEST = pack_signs([TokenSign((0.5, 0.25, 0.125, 0.0625), 2)])


@pytest.mark.parametrize(
    "packed",
    [
        HONEST[:-1],
        HONEST + b"\0",
        HONEST * 2,
        HONEST[:-1] + bytes([CANDIDATES + 1]),
        b"\xff" * SIGN_BYTES,
        (b"\x10\x00\x20\x00") + bytes(5),  # the second above the first
        (b"\x80\x00\x00\x01") + bytes(5),  # more than there is
    ],
)
def test_what_is_no_sign_of_one_token_is_told_from_one(packed: bytes) -> None:
    assert unpack_signs(HONEST, 1) is not None
    assert unpack_signs(packed, 1) is None
