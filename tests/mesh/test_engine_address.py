"""Where prompts may go, and where not."""

import pytest

from mesh.engine_address import EngineAddress, read_engine_address, usual_addresses
from mesh.errors import InvalidRequest


@pytest.mark.parametrize(
    ("text", "base"),
    [
        ("http://127.0.0.1:8081", "http://127.0.0.1:8081"),
        ("http://localhost:8081/", "http://localhost:8081"),
        ("http://127.0.0.1:8081/v1/", "http://127.0.0.1:8081"),
        ("http://[::1]:8081/serve/v1", "http://[::1]:8081/serve"),
    ],
)
def test_an_engine_of_this_machine_may_be_named(text: str, base: str) -> None:
    assert read_engine_address(text) == EngineAddress(base, off_host=False, named=True)


def test_another_machine_needs_https_or_a_word_that_plain_http_will_do() -> None:
    assert read_engine_address("https://gpu.lan:8000").off_host
    with pytest.raises(InvalidRequest, match="could be read on the way"):
        read_engine_address("http://192.168.1.5:8000")
    assert read_engine_address("http://192.168.1.5:8000", plain_http=True).off_host


def test_a_name_that_only_looks_like_this_machine_is_another_one() -> None:
    assert read_engine_address("https://localhost.example:1").off_host
    assert read_engine_address("https://127.0.0.1.example:1").off_host


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1:8081",
        "ftp://127.0.0.1",
        "http://",
        "http://127.0.0.1:port",
        "http://127.0.0.1:1?key=x",
        "http://127.0.0.1:1/a b",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match=r"node\.engines"):
        read_engine_address(text)


def test_a_password_in_an_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_engine_address("http://ann:secret@127.0.0.1:1")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("said", "base"),
    [
        ("127.0.0.1:4444", "http://127.0.0.1:4444"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        (":4444", "http://127.0.0.1:4444"),
        ("http://localhost:4444", "http://localhost:4444"),
    ],
)
def test_ollama_is_looked_for_where_its_variable_says(said: str, base: str) -> None:
    assert base in [each.base for each in usual_addresses(said)]


@pytest.mark.parametrize("said", ["192.168.1.5:11434", "https://ollama.example", "a:b:c", "::"])
def test_nobody_is_looked_for_on_another_machine(said: str) -> None:
    found = usual_addresses(said)
    assert not any(each.off_host or each.named for each in found)
    assert all("127.0.0.1" in each.base for each in found)
