"""What is said of a mistake in the settings: what it is, where it stands, and how it is mended."""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from json import JSONDecodeError
from pathlib import Path

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsError

from mesh.errors import InvalidRequest
from mesh.section import Section

PREFIX = "DESKMESH_"  # of variables, in whatever case
_NESTED = "__"  # parts a table from its setting
# What Kubernetes tells each pod of a service that is called deskmesh-node, say.
_OF_KUBERNETES = re.compile(r"[a-z]+_(service_host|(service_)?port)(_\w+)?")


@dataclass(frozen=True, slots=True)
class Mistakes:
    """Tells of mistakes in ``settings``, which are read from ``file`` and the environment."""

    settings: type[BaseSettings]
    named: Mapping[str, type[Section]]  # tables that an operator names or numbers, by pattern
    file: Path

    def check_variables(self) -> None:
        """Refuse variables of a table that there is not; others are checked with what they set.

        Raises:
            InvalidRequest: says which variable.
        """
        for name in sorted(os.environ):
            key = key_of(name)
            group, nested, _ = key.partition(_NESTED)
            foreign = not key or _OF_KUBERNETES.fullmatch(key)
            if foreign or group in self.settings.model_fields:
                continue
            # The program's own variables, such as DESKMESH_HOME, begin with the name of no table.
            for table in self.settings.model_fields:
                if group.startswith(f"{table}_"):
                    raise _parted_by_one(name, table)
            if nested:
                raise self._unknown(tuple(key.split(_NESTED)))

    def in_words(
        self, failure: tomllib.TOMLDecodeError | SettingsError | ValidationError
    ) -> InvalidRequest:
        """Return what a failure to read the settings is called before people."""
        if isinstance(failure, tomllib.TOMLDecodeError):
            what = f"{self.file} is not valid TOML: {failure}"
            return InvalidRequest(what, hint="mend the file")
        if isinstance(failure, SettingsError):
            return _unreadable(failure)
        first = failure.errors(include_url=False, include_input=False)[0]
        if first["type"] == "extra_forbidden":
            return self._unknown(first["loc"])
        key = ".".join(map(str, first["loc"]))
        hint = f"mend it in {self._where(first['loc'])}"
        return InvalidRequest(f"setting {key}: {first['msg']}", hint=hint)

    def _unknown(self, parts: tuple[int | str, ...]) -> InvalidRequest:
        key = ".".join(map(str, parts))
        near = get_close_matches(key, self._known(key.rpartition(".")[0]), n=1)
        if key == "rules":
            near = ["rules.toml beside it, which has the rules"]
        hint = f"did you mean {near[0]}?" if near else "docs/settings.md lists them all"
        return InvalidRequest(f"there is no setting {key}, as {self._where(parts)} has", hint=hint)

    def _known(self, own: str) -> list[str]:
        """Return every setting that there is, with those of a table ``own`` that somebody named."""
        known = [
            f"{name}.{field}"
            for name, section in self.settings.model_fields.items()
            if isinstance(section.annotation, type) and issubclass(section.annotation, Section)
            for field in section.annotation.model_fields
        ]
        for pattern, section in self.named.items():
            if re.fullmatch(pattern, own):
                known += [f"{own}.{field}" for field in section.model_fields]
        return known

    def _where(self, parts: tuple[int | str, ...]) -> str:
        """Name the variable that sets a key, a part of it or all of its table; else the file."""
        wanted = _NESTED.join(map(str, parts)).lower()
        for name in sorted(os.environ):
            key = key_of(name)
            whole_table = wanted.startswith(f"{key}{_NESTED}")  # its value is JSON
            if key and (
                key == wanted
                or key.startswith(f"{wanted}{_NESTED}")
                or (whole_table and str(parts[-1]) in os.environ[name])
            ):
                return f"the variable {name}"
        return str(self.file)


def key_of(name: str) -> str:
    """Return what a variable of ours sets, such as ``ports__mesh``; "" for others."""
    return name[len(PREFIX) :].lower() if name.upper().startswith(PREFIX) else ""


def _parted_by_one(name: str, table: str) -> InvalidRequest:
    until = len(PREFIX) + len(table)
    return InvalidRequest(
        f"the variable {name} sets nothing: two underscores part a table from its setting",
        hint=f"did you mean {name[:until]}_{name[until:]}?",
    )


def _unreadable(failure: SettingsError) -> InvalidRequest:
    """Name the variable that is no JSON, and leave its value out: it may be a secret."""
    why = failure.__cause__ or failure
    text = why.doc if isinstance(why, JSONDecodeError) else None
    names = [each for each in sorted(os.environ) if key_of(each) and os.environ[each] == text]
    which = f"the variable {names[0]}" if names else f"a {PREFIX} variable"
    return InvalidRequest(
        f"{which} cannot be read ({why})",
        hint="lists are JSON, such as DESKMESH_DISCOVERY__SEEDS='[\"host:7443\"]'",
    )
