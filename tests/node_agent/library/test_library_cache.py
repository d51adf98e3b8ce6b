"""What is known of models, on disk: never trusted, never needed."""

import json
import logging
import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from node_agent.library import cache
from node_agent.library.cache import DescriptionCache
from node_agent.library.description import Description
from node_agent.library.found import Stamp

DESCRIPTION = Description(
    sha256="a" * 64,
    size_bytes=7,
    mtime_ns=8,
    name="Tiny",
    architecture="llama",
    parameters=64,
    quantisation="Q8_0",
    context_tokens=512,
    template_sha256=None,
    test=True,
    tasks=("sum",),
    examples=("1 + 1 = ?",),
)
KNOWN = {
    Stamp(Path("/models/ü \n%41.gguf"), 7, 8): DESCRIPTION,
    Stamp(Path(os.fsdecode(b"/models/\xff.gguf")), 9, 10): DESCRIPTION,
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "home" / "library.json"


def test_what_is_written_is_read_again_in_its_order(file: Path) -> None:
    assert DescriptionCache(file).write(KNOWN)
    known = DescriptionCache(file).read()
    assert known == KNOWN
    assert list(known) == list(KNOWN)


def test_a_missing_cache_is_empty_and_no_news(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert DescriptionCache(file).read() == {}
    assert not caplog.records


@given(st.data())
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_damaged_cache_is_empty_or_whole_and_never_raises(
    file: Path, data: st.DataObject
) -> None:
    DescriptionCache(file).write(KNOWN)
    content = bytearray(file.read_bytes())
    for _ in range(data.draw(st.integers(0, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    file.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    for description in DescriptionCache(file).read().values():
        assert isinstance(description, Description)


@pytest.mark.parametrize(
    "content", ["", "null", "[]", "{}", '{"format": 99, "files": {}}', "[" * 100_000, "\x00" * 99]
)
def test_a_cache_that_is_not_ours_is_made_again(
    file: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    file.parent.mkdir()
    file.write_text(content)
    assert DescriptionCache(file).read() == {}
    assert len(caplog.records) == 1
    assert DescriptionCache(file).write(KNOWN)
    assert DescriptionCache(file).read() == KNOWN


def test_a_cache_that_grew_beyond_reason_is_not_read(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    DescriptionCache(file).write(KNOWN)
    monkeypatch.setattr(cache, "CACHE_BYTES_MAX", 100)
    assert DescriptionCache(file).read() == {}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a device that is always full")
def test_a_full_disk_is_said_once_and_leaves_the_old_cache_whole(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    writer = DescriptionCache(file)
    first = dict(list(KNOWN.items())[:1])
    assert writer.write(first)
    beside = file.with_name(f"library.json.{os.getpid()}.tmp")
    for _ in range(3):
        beside.symlink_to("/dev/full")
        assert not writer.write(KNOWN)
        assert [path.name for path in file.parent.iterdir()] == ["library.json"]
    assert [record.message.count("no space left") for record in caplog.records] == [1]
    assert DescriptionCache(file).read() == first
    assert writer.write(KNOWN)
    assert DescriptionCache(file).read() == KNOWN


def test_a_home_that_cannot_be_made_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    assert not DescriptionCache(tmp_path / "home" / "library.json").write(KNOWN)


def test_the_cache_is_plain_ascii_json(file: Path) -> None:
    DescriptionCache(file).write(KNOWN)
    assert len(json.loads(file.read_text("ascii"))["files"]) == len(KNOWN)


@pytest.mark.skipif(sys.platform == "win32", reason="no modes there")
def test_a_home_that_is_made_is_for_its_owner_alone(file: Path) -> None:
    DescriptionCache(file).write(KNOWN)
    assert file.parent.stat().st_mode & 0o077 == 0
