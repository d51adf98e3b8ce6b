"""The key for an upstream: from the environment, a file of its owner's, or the OS keyring.

It is read once, when the coordinator starts, and is then in one place, below the gate. No error,
log or repr shows it: what is told is where it was looked for.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from mesh.cloud_settings import KeySettings
from mesh.errors import InvalidRequest, ServiceError
from mesh.identity.files import read_private

KEYRING_SERVICE = "deskmesh"  # whose entries they are; the setting names one of them

_KEY = re.compile(r"[\x21-\x7e]{1,4096}")  # what a header can carry, without a space


def read_key(settings: KeySettings, where: str = "cloud") -> str:
    """Return the key for an upstream, "" if it needs none.

    Args:
        where: the table that the settings stand in, for errors.

    Raises:
        InvalidRequest: the settings name two places, one that has no key, or what is no key.
        NotAuthenticated: other users may read the file.
        ServiceError: the file or the keyring cannot be read.
    """
    named = list(_named(settings))
    if not named:
        return ""
    if len(named) > 1:
        both = " and ".join(f"{where}.{name}" for name in named[:2])
        raise InvalidRequest(f"{both} are both set", hint="keep one of them")
    setting = f"{where}.{named[0]}"
    match named[0]:
        case "api_key_environment":
            return _from_environment(settings.api_key_environment, setting)
        case "api_key_keyring":
            return _from_keyring(settings.api_key_keyring, setting)
        case "api_key_file":
            assert settings.api_key_file is not None
            return _from_file(settings.api_key_file, setting)
        case _:
            return _checked(settings.api_key.get_secret_value(), setting)


def _named(settings: KeySettings) -> Iterator[str]:
    if settings.api_key.get_secret_value():
        yield "api_key"
    if settings.api_key_file is not None:
        yield "api_key_file"
    if settings.api_key_environment:
        yield "api_key_environment"
    if settings.api_key_keyring:
        yield "api_key_keyring"


def _from_environment(variable: str, setting: str) -> str:
    if not (key := os.environ.get(variable, "")):
        raise InvalidRequest(
            f"{setting} is {_shown(variable)}, and there is no such variable",
            hint="set it where the coordinator is started",
        )
    return _checked(key, f"{setting} ({_shown(variable)})")


def _from_file(file: Path, setting: str) -> str:
    path = file.expanduser()
    try:
        content = read_private(path, mend="put the key alone into it")
    except FileNotFoundError:
        raise InvalidRequest(
            f"{setting} is {path}, and there is no such file",
            hint="put the key alone into it, and chmod 600",
        ) from None
    return _checked(content.decode("ascii", "replace").strip(), f"{setting} ({path})")


def _from_keyring(entry: str, setting: str) -> str:
    try:
        import keyring  # late, and an extra: most have a file or a variable
        from keyring.errors import KeyringError
    except ImportError:
        raise InvalidRequest(
            f"{setting} needs the package keyring, which is not installed",
            hint="pip install 'deskmesh[keyring]', or name a variable or a file",
        ) from None
    try:
        key = keyring.get_password(KEYRING_SERVICE, entry)
    except KeyringError as failure:  # its words come from the platform, and may hold anything
        raise ServiceError(
            f"{setting}: the keyring of this machine cannot be read ({type(failure).__name__})",
            hint="unlock it, or name a variable or a file: services often have no keyring",
        ) from None
    if not key:
        raise InvalidRequest(
            f"{setting}: the keyring has no entry of that name for {KEYRING_SERVICE}",
            hint=f"`keyring set {KEYRING_SERVICE} NAME` puts it there",
        )
    return _checked(key, setting)


def _shown(variable: str) -> str:
    """A variable's name as it may be shown: somebody may have written the key itself there."""
    return variable if re.fullmatch(r"[A-Z][A-Z0-9_]{0,63}", variable) else "no name as $A_KEY is"


def _checked(key: str, what: str) -> str:
    if not _KEY.fullmatch(key):
        raise InvalidRequest(f"{what} holds no key, or more than a key", hint="put the key alone")
    return key
