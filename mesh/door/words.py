"""Why a body is refused, in the words that OpenAI's API uses, with the parameter that is at fault.

A message names keys, types, lengths and limits, and numbers that are out of range; never a text
that came in the body.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from mesh.door.conversation import KEYS_MAX, TAG
from mesh.door.failures import Refused

KEY_CHARACTERS_MAX = 64  # of an unknown key; it is shown, and could be anything
NUMBER_CHARACTERS_MAX = 24  # of a number that may have thousands of digits

_EXPECTED = {
    "string_type": "a string",
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_type": "a decimal",
    "bool_type": "a boolean",
    "list_type": "an array",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "none_required": "null",
}
_TYPES: tuple[tuple[type, str], ...] = (
    (bool, "a boolean"),
    (int, "an integer"),
    (float, "a decimal"),
    (str, "a string"),
    (list, "an array"),
    (dict, "an object"),
)
_TAGGED = {"role": "role", "part_type": "type", "format_type": "type"}
_BOUNDS = {
    "ge": (">=", "below minimum", "below_min_value"),
    "gt": (">", "below minimum", "below_min_value"),
    "le": ("<=", "above maximum", "above_max_value"),
}
KEY = "[key]"  # pydantic's sign that a key is meant, which it has named just before
_PLACE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def refusal(failure: ValidationError) -> Refused:
    """Return the first thing that is wrong, for the client."""
    first = failure.errors(include_url=False)[0]
    kind: str = first["type"]
    param = _param(first["loc"])
    given: Any = first.get("input")
    context: Mapping[str, Any] = first.get("ctx", {})
    if kind in _EXPECTED:
        return _wrong_type(param, _EXPECTED[kind], given)
    if kind in _TAGGED:
        return _wrong_tag(param, _TAGGED[kind], given, first["msg"])
    say = _SAYINGS.get(kind)
    if say is not None:
        return say(param, given, context)
    return Refused(f"Invalid value for '{param}'.", param=param)


def _param(place: tuple[int | str, ...]) -> str:
    """``("messages", 0, "=user", "content")`` is ``messages[0].content``."""
    named = ""
    for each in place:
        if isinstance(each, int):
            named += f"[{each}]"
        elif each != KEY and not each.startswith(TAG):
            known = each if _PLACE.fullmatch(each) else repr(each)
            named += f".{known[:KEY_CHARACTERS_MAX]}" if named else known[:KEY_CHARACTERS_MAX]
    return named


def _wrong_type(param: str, expected: str, given: Any) -> Refused:
    if param.endswith("content") and expected == "an array":
        expected = "one of a string or array of objects"
    return Refused(
        f"Invalid type for '{param}': expected {expected}, but got {_type_of(given)} instead.",
        param=param,
        code="invalid_type",
    )


def _wrong_tag(param: str, key: str, given: Any, supported: str) -> Refused:
    if not isinstance(given, dict):
        return _wrong_type(param, "an object", given)
    param = f"{param}.{key}"
    if key not in given:
        return _missing(param, given, {})
    if not isinstance(given[key], str):
        return _wrong_type(param, "a string", given[key])
    return Refused(f"Invalid value for '{param}'. {supported}", param=param)


def _missing(param: str, _: Any, __: Mapping[str, Any]) -> Refused:
    code = "missing_required_parameter"
    if param == "model":
        hint = "'auto' lets the mesh choose"
        return Refused("you must provide a model parameter", hint=hint, param=param, code=code)
    return Refused(f"Missing required parameter: '{param}'.", param=param, code=code)


def _unknown(param: str, _: Any, __: Mapping[str, Any]) -> Refused:
    if "." not in param:
        said = f"Unrecognized request argument supplied: {param}"
    else:
        said = f"Unknown parameter: '{param}'."
    return Refused(said, param=param, code="unknown_parameter")


def _literal(param: str, given: Any, context: Mapping[str, Any]) -> Refused:
    if not isinstance(given, str):
        return _wrong_type(param, "a string", given)
    return Refused(
        f"Invalid value for '{param}'. Supported values are: {context['expected']}.", param=param
    )


def _out_of_range(param: str, given: Any, context: Mapping[str, Any]) -> Refused:
    [(kind, limit)] = context.items()
    sign, words, code = _BOUNDS[kind]
    number = "integer" if isinstance(given, int) else "decimal"
    return Refused(
        f"Invalid '{param}': {number} {words} value. Expected a value {sign} {limit}, "
        f"but got {str(given)[:NUMBER_CHARACTERS_MAX]} instead.",
        param=param,
        code=f"{number}_{code}",
    )


def _too_short(param: str, _: Any, context: Mapping[str, Any]) -> Refused:
    least = context["min_length"]
    return Refused(
        f"Invalid '{param}': empty array. Expected an array with minimum length {least}, "
        "but got an empty array instead.",
        param=param,
        code="empty_array",
    )


def _too_long(param: str, given: Any, context: Mapping[str, Any]) -> Refused:
    return Refused(
        f"Invalid '{param}': array too long. Expected an array with maximum length "
        f"{context['max_length']}, but got an array with length {len(given)} instead.",
        param=param,
        code="array_above_max_length",
    )


def _short_string(param: str, _: Any, context: Mapping[str, Any]) -> Refused:
    return Refused(
        f"Invalid '{param}': empty string. Expected a string with minimum length "
        f"{context['min_length']}, but got an empty string instead.",
        param=param,
        code="empty_string",
    )


def _long_string(param: str, given: Any, context: Mapping[str, Any]) -> Refused:
    return Refused(
        f"Invalid '{param}': string too long. Expected a string with maximum length "
        f"{context['max_length']}, but got a string with length {len(given)} instead.",
        param=param,
        code="string_above_max_length",
    )


def _pattern(param: str, _: Any, context: Mapping[str, Any]) -> Refused:
    return Refused(
        f"Invalid '{param}': string does not match pattern. Expected a string that matches the "
        f"pattern '{context['pattern']}'.",
        param=param,
        code="invalid_value",
    )


def _not_finite(param: str, _: Any, __: Mapping[str, Any]) -> Refused:
    return Refused(f"Invalid '{param}': the number is too large.", param=param)


def _many_keys(param: str, _: Any, __: Mapping[str, Any]) -> Refused:
    said = f"Invalid '{param}': an object" if param else "The body"
    return Refused(f"{said} has more than {KEYS_MAX} keys.", param=param or None)


def _not_unicode(param: str, _: Any, __: Mapping[str, Any]) -> Refused:
    """Half a surrogate pair, which JSON can spell and UTF-8 cannot."""
    where = f"'{param}'" if param else "a key"
    said = f"a string in the body is not valid Unicode: {where}"
    return Refused(said, param=param or None, code="invalid_json")


_SAYINGS: dict[str, Callable[[str, Any, Mapping[str, Any]], Refused]] = {
    "missing": _missing,
    "extra_forbidden": _unknown,
    "literal_error": _literal,
    "greater_than_equal": _out_of_range,
    "greater_than": _out_of_range,
    "less_than_equal": _out_of_range,
    "too_short": _too_short,
    "too_long": _too_long,
    "string_too_short": _short_string,
    "string_too_long": _long_string,
    "string_pattern_mismatch": _pattern,
    "finite_number": _not_finite,
    "too_many_keys": _many_keys,
    "string_unicode": _not_unicode,
    "invalid_key": _not_unicode,
}


def _type_of(given: Any) -> str:
    return next((name for kind, name in _TYPES if isinstance(given, kind)), "null")
