"""Private files are whole or absent, and made for their owner alone."""

import os
import stat
from pathlib import Path

import pytest

from mesh.errors import NotAuthenticated, ServiceError
from mesh.identity.files import (
    FILE_BYTES_MAX,
    private_folder,
    read_private,
    read_trusted,
    write_private,
    write_private_once,
)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def lax_umask() -> object:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("lax_umask")
def test_a_file_is_the_owners_alone_whatever_the_umask(tmp_path: Path) -> None:
    write_private(tmp_path / "one", b"secret")
    write_private_once(tmp_path / "two", b"secret")
    assert mode_of(tmp_path / "one") == 0o600
    assert mode_of(tmp_path / "two") == 0o600


@pytest.mark.usefixtures("lax_umask")
def test_a_folder_is_the_owners_alone_even_if_it_was_open_before(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    folder.mkdir(mode=0o755)
    assert mode_of(private_folder(folder)) == 0o700
    assert mode_of(private_folder(tmp_path / "made")) == 0o700


@pytest.mark.usefixtures("lax_umask")
def test_a_file_is_closed_to_others_before_it_holds_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes = []
    flush = os.fsync

    def watch(descriptor: int) -> None:
        modes.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", watch)
    write_private(tmp_path / "key", b"secret")
    assert modes[0] == 0o600


def test_a_write_that_fails_keeps_the_old_content_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "key"
    write_private(path, b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ServiceError, match="No space left on device; free some disk space"):
        write_private(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_into_a_folder_that_is_not_there_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match=r"cannot write .*No such file"):
        write_private(tmp_path / "absent" / "key", b"content")


def test_writing_once_never_replaces(tmp_path: Path) -> None:
    path = tmp_path / "key"
    assert write_private_once(path, b"first")
    assert not write_private_once(path, b"second")
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o644, 0o610])
def test_a_secret_open_to_others_is_refused_and_the_error_says_how_to_close_it(
    tmp_path: Path, mode: int
) -> None:
    path = tmp_path / "a key"
    write_private(path, b"top secret")
    path.chmod(mode)
    with pytest.raises(NotAuthenticated) as caught:
        read_private(path)
    assert f"mode {mode:o}" in caught.value.message
    assert caught.value.hint == f"close it: chmod 600 '{path}'"
    assert "top secret" not in str(caught.value)


def test_a_public_file_may_be_read_by_others_but_not_written(tmp_path: Path) -> None:
    path = tmp_path / "authority.pem"
    write_private(path, b"public")
    path.chmod(0o644)
    assert read_trusted(path) == b"public"
    path.chmod(0o664)
    with pytest.raises(NotAuthenticated, match="open to other users"):
        read_trusted(path)


def test_an_endless_file_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "key"
    write_private(path, b"x" * (FILE_BYTES_MAX + 1))
    with pytest.raises(NotAuthenticated, match="longer than"):
        read_private(path)
