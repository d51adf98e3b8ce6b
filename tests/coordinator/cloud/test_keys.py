"""A key comes from one place, and is told of by that place alone."""

import sys
import types
from pathlib import Path

import pytest

from coordinator.cloud.keys import KEYRING_SERVICE, read_key
from mesh.cloud_settings import KeySettings
from mesh.errors import InvalidRequest, MeshError, ServiceError

SECRET = "sk-live-not-to-be-seen"


class KeyringError(Exception):
    """As the package has it."""


class NoKeyringError(KeyringError, RuntimeError):
    """As the package has it: no desktop, no keyring."""


class Keyring:
    """A keyring with the two names that are used of the package's."""

    def __init__(self) -> None:
        self.entries: dict[tuple[str, str], str] = {}
        self.fails: Exception | None = None

    def get_password(self, service: str, name: str) -> str | None:
        if self.fails is not None:
            raise self.fails
        return self.entries.get((service, name))


@pytest.fixture
def keyring(monkeypatch: pytest.MonkeyPatch) -> Keyring:
    played = Keyring()
    package, errors = types.ModuleType("keyring"), types.ModuleType("keyring.errors")
    package.get_password = played.get_password  # type: ignore[attr-defined]
    errors.KeyringError = KeyringError  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "keyring", package)
    monkeypatch.setitem(sys.modules, "keyring.errors", errors)
    return played


def refused(settings: KeySettings) -> MeshError:
    with pytest.raises(MeshError) as failure:
        read_key(settings, "cloud.upstreams.a")
    told = f"{failure.value.message} {failure.value.hint}"
    assert SECRET not in told
    assert failure.value.hint
    assert failure.value.message.startswith("cloud.upstreams.a.api_key")
    return failure.value


# -- the environment -------------------------------------------------------------------------------


def test_a_key_comes_from_the_variable_that_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", SECRET)
    assert read_key(KeySettings(api_key_environment="SOME_KEY")) == SECRET


def test_a_variable_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOME_KEY", raising=False)
    failure = refused(KeySettings(api_key_environment="SOME_KEY"))
    assert "api_key_environment is SOME_KEY, and there is no such variable" in failure.message
    monkeypatch.setenv("SOME_KEY", "")
    refused(KeySettings(api_key_environment="SOME_KEY"))


def test_a_variable_that_holds_more_than_a_key_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", f"{SECRET}\nx: y")
    assert "holds no key, or more" in refused(KeySettings(api_key_environment="SOME_KEY")).message


def test_a_key_that_stands_where_a_variables_name_belongs_is_not_shown() -> None:
    refused(KeySettings(api_key_environment=SECRET))
    refused(KeySettings(api_key_environment=SECRET.replace("-", "_")))


# -- the keyring -----------------------------------------------------------------------------------


def test_a_key_comes_from_the_keyring(keyring: Keyring) -> None:
    keyring.entries[KEYRING_SERVICE, "openai"] = SECRET
    assert read_key(KeySettings(api_key_keyring="openai")) == SECRET


def test_an_entry_that_is_not_there_is_told_with_how_to_make_it(keyring: Keyring) -> None:
    failure = refused(KeySettings(api_key_keyring="openai"))
    assert "the keyring has no entry of that name for deskmesh" in failure.message
    assert "keyring set deskmesh" in failure.hint
    refused(KeySettings(api_key_keyring=SECRET))


def test_a_keyring_that_cannot_be_read_is_told_without_its_words(keyring: Keyring) -> None:
    keyring.fails = NoKeyringError(f"no backend; {SECRET}")
    failure = refused(KeySettings(api_key_keyring="openai"))
    assert isinstance(failure, ServiceError)
    assert "cannot be read (NoKeyringError)" in failure.message


def test_without_the_package_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)  # as if it were not installed
    failure = refused(KeySettings(api_key_keyring="openai"))
    assert isinstance(failure, InvalidRequest)
    assert "deskmesh[keyring]" in failure.hint


# -- one place -------------------------------------------------------------------------------------


def test_two_places_are_one_too_many(tmp_path: Path) -> None:
    every = {
        "api_key": SECRET,
        "api_key_file": tmp_path / "key",
        "api_key_environment": "SOME_KEY",
        "api_key_keyring": "openai",
    }
    names = list(every)
    for first in names:
        for second in names[names.index(first) + 1 :]:
            both = {first: every[first], second: every[second]}
            failure = refused(KeySettings.model_validate(both))
            assert "are both set" in failure.message
            assert first in failure.message
            assert second in failure.message


def test_none_is_the_empty_key() -> None:
    assert read_key(KeySettings()) == ""
