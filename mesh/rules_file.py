"""``rules.toml`` in the coordinator's home: an operator's rules, checked where they are read.

A mistake is told with its file, its line and its rule. A list that is wrong anywhere is refused as
a whole: half a list may allow what the other half forbids.
"""

import tomllib
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from mesh.core.rules import Rules
from mesh.errors import InvalidRequest
from mesh.rule_sections import EFFECTS, ConditionsSection, RuleSection, RulesSection
from mesh.toml_lines import TomlPath, line_of, lines_of

FILE_BYTES_MAX = 1 << 20  # 256 rules take 100 KB with their comments
_BROKEN = "mend the file; until then nothing is changed"


def load_rules(file: Path) -> Rules:
    """Read an operator's rules; none where there is no such file.

    Raises:
        InvalidRequest: the file cannot be read or says what means nothing; names file, line and
            rule, and what to write instead.
    """
    try:
        with file.open("rb") as opened:
            raw = opened.read(FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        return Rules()
    except OSError as failure:
        why = (failure.strerror or type(failure).__name__).lower()
        raise InvalidRequest(
            f"{file} cannot be read: {why}", hint="mend it, or remove it"
        ) from None
    if len(raw) > FILE_BYTES_MAX:
        raise InvalidRequest(f"{file} is larger than {FILE_BYTES_MAX >> 20} MiB", hint=_BROKEN)
    try:
        text = raw.decode().removeprefix("\ufeff")  # which some editors put first
    except UnicodeDecodeError as failure:
        line = raw.count(b"\n", 0, failure.start) + 1
        raise InvalidRequest(f"{file}, line {line}: it is not UTF-8", hint=_BROKEN) from None
    return read_rules(text, str(file))


def read_rules(text: str, file: str) -> Rules:
    """Read rules from TOML.

    Args:
        file: what to call it in an error.

    Raises:
        InvalidRequest: as ``load_rules``.
    """
    try:
        data = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as failure:
        last = f"line {text.count(chr(10), 0, len(text.rstrip())) + 1}"
        why = str(failure).replace("end of document", f"end of document, {last}")
        raise InvalidRequest(f"{file} is not valid TOML: {why}", hint=_BROKEN) from None
    place = _Place(file, text, data)
    try:
        sections = RulesSection.model_validate(data).rules
    except ValidationError as failure:
        raise place.mistake(failure.errors(include_url=False)[0]) from None
    place.check_names(sections)
    try:
        return Rules([section.rule() for section in sections])
    except ValueError as failure:  # all words of all rules together
        raise InvalidRequest(f"{file}: {failure}", hint=_BROKEN) from None


class _Place:
    """Says where in a file something is wrong."""

    def __init__(self, file: str, text: str, data: Mapping[str, Any]) -> None:
        self._file, self._text, self._data = file, text, data

    def mistake(self, error: ErrorDetails) -> InvalidRequest:
        """Put the first thing that is wrong into words."""
        path = error["loc"]
        if error["type"] == "extra_forbidden":
            return self._unknown(path)
        keys = ".".join(str(key) for key in path[2:] if not isinstance(key, int))
        message = error["msg"].removeprefix("Value error, ")
        if path[:1] == ("rules",) and len(path) <= 2 and error["type"] != "value_error":
            message, keys = _shape(error), ""
        elif error["type"] == "missing":
            message, keys = f"it has no {keys}", ""
        return self._at(path, f"{keys}: {message}" if keys else message, hint=_BROKEN)

    def check_names(self, sections: Sequence[RuleSection]) -> None:
        """Raises InvalidRequest where two rules have one name: receipts tell them apart by it."""
        seen: dict[str, int] = {}
        for index, section in enumerate(sections):
            if (first := seen.setdefault(section.name, index)) != index:
                line = line_of(("rules", first), lines_of(self._text))
                path = ("rules", index, "name")
                raise self._at(path, f"the rule on line {line} has the same name", hint=_BROKEN)

    def _unknown(self, path: TomlPath) -> InvalidRequest:
        key = str(path[-1])
        if len(path) == 1:
            return self._at(path, f"there is no table {key[:40]}", hint=_meant(key, ("rules",)))
        of_rule = tuple(RuleSection.model_fields)
        conditions = tuple(ConditionsSection.model_fields)
        known, elsewhere, where = of_rule, conditions, f"write when = {{ {key} = ... }}"
        if len(path) > 3:
            known, elsewhere, where = conditions, EFFECTS, f"{key} stands beside {path[2]}"
        hint = where if key in elsewhere else _meant(key, known)
        of = f"{path[2]}." if len(path) > 3 else ""
        return self._at(path, f"there is no key {of}{key[:40]}", hint=hint)

    def _at(self, path: TomlPath, message: str, hint: str) -> InvalidRequest:
        line = line_of(path, lines_of(self._text))
        return InvalidRequest(f"{self._file}, line {line}{self._rule(path)}: {message}", hint=hint)

    def _rule(self, path: TomlPath) -> str:
        """Name the rule that ``path`` leads into, by its place where it has no name."""
        if len(path) < 2 or not isinstance(path[1], int):
            return ""
        rules = self._data.get("rules")
        rule = rules[path[1]] if isinstance(rules, list) and path[1] < len(rules) else None
        name = rule.get("name") if isinstance(rule, dict) else None
        return f", rule {name[:80]!r}" if isinstance(name, str) else f", rule {path[1] + 1}"


def _shape(error: ErrorDetails) -> str:
    if error["type"] == "too_long":
        return f"at most {RulesSection.model_fields['rules'].metadata[-1].max_length} rules may be"
    return "rules are tables: begin each with [[rules]]"


def _meant(key: str, known: Sequence[str]) -> str:
    near = get_close_matches(key, known, n=1)
    return f"did you mean {near[0]}?" if near else f"use {', '.join(known)}"
