"""What may be written to name a model, and what it means."""

import pytest

from mesh.pulling.reference import (
    BadReference,
    CatalogueReference,
    HubReference,
    Reference,
    UrlReference,
    read_reference,
)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("hf:Qwen/Qwen3-4B-GGUF", HubReference("Qwen/Qwen3-4B-GGUF")),
        ("hf:a/b:q4_k_m", HubReference("a/b", quantisation="Q4_K_M")),
        ("hf:a/b/sub/x.gguf", HubReference("a/b", file="sub/x.gguf")),
        (
            "https://huggingface.co/a/b/resolve/main/x%20y.gguf?download=true",
            HubReference("a/b", file="x y.gguf", revision="main"),
        ),
        ("https://hf.co/a/b/blob/v2/x.gguf", HubReference("a/b", file="x.gguf", revision="v2")),
        ("Qwen3:4B", CatalogueReference("qwen3:4b")),
        ("https://example.com/x.gguf", UrlReference("https://example.com/x.gguf")),
        ("http://localhost:8000/x.gguf", UrlReference("http://localhost:8000/x.gguf")),
    ],
)
def test_each_form_means_what_it_says(text: str, meant: Reference) -> None:
    assert read_reference(text) == meant


@pytest.mark.parametrize(
    "text",
    [
        "",
        "../x",
        "hf:only-owner",
        "hf:a/b:",
        "hf:a/b:Q4 K",
        "hf:a/b/x.bin",
        "hf:a/b/../../x.gguf",
        "http://example.com/x.gguf",
        "ftp://example.com/x.gguf",
        "https://user:secret@example.com/x.gguf",
        "https:///x.gguf",
        "https://example.com:port/x.gguf",
        "https://example.com/a b.gguf",
    ],
)
def test_what_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(BadReference):
        read_reference(text)
