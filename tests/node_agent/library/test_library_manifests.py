"""A manifest of Ollama may hold anything: it says what it should, or is broken."""

import json
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from node_agent.library.ollama_manifest import (
    BrokenManifest,
    LayerKind,
    Manifest,
    read_manifest,
)

SECRET = "swordfish"
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(SECRET),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["layers", "manifests", "mediaType", "digest", "size", "runner", "x"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


def read(raw: bytes) -> Manifest | str:
    """Read as the source does; return what is wrong, in words, if it is broken."""
    try:
        return read_manifest(raw).for_gguf()
    except BrokenManifest as failure:
        return str(failure)


def check(raw: bytes) -> None:
    """Whatever comes out is digests, or one line that repeats nothing of the content."""
    said = read(raw)
    if isinstance(said, str):
        assert said.isprintable()
        assert SECRET not in said
        return
    for kind in LayerKind:
        for layer in said.of_kind(kind):
            with suppress(BrokenManifest):
                assert set(layer.sha256) <= set("0123456789abcdef")
                assert len(layer.sha256) == 64


@given(json_values)
def test_any_json_is_read_or_broken(value: object) -> None:
    check(json.dumps(value).encode())


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_broken(raw: bytes) -> None:
    check(raw)
