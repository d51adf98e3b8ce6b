"""Random JSON schemas of tools' arguments, such as people and programs write."""

import random
from typing import Any

_WORDS = ("city", "days", "unit", "path", "to", "n", "tags", "on", "who", "at")
_DEPTH_MAX = 2

Schema = dict[str, Any]


def random_schema(rng: random.Random) -> Schema:
    """Return the schema of an object, with definitions that it refers to, perhaps to itself."""
    schema = _object(rng, 0)
    if rng.random() < 0.3:
        schema["$defs"] = {"point": _object(rng, _DEPTH_MAX)}
        schema["properties"]["where"] = {"$ref": "#/$defs/point"}
        if rng.random() < 0.5:
            schema["required"].append("where")
    return schema


def _object(rng: random.Random, depth: int) -> Schema:
    names = rng.sample(_WORDS, rng.randint(1, 3))
    schema: Schema = {
        "type": "object",
        "properties": {name: _value(rng, depth + 1) for name in names},
        "required": rng.sample(names, rng.randint(0, len(names))),
    }
    if depth or rng.random() < 0.5:  # where it is left out, anything may be added
        schema["additionalProperties"] = False
    return schema


def _value(rng: random.Random, depth: int) -> Schema:
    kinds = [_integer, _boolean, _enum, _string, _number, _constant, _nullable]
    if depth <= _DEPTH_MAX:
        kinds += [_array, _object, _either]
    return rng.choice(kinds)(rng, depth)


def _integer(rng: random.Random, _: int) -> Schema:
    least = rng.randint(-100, 100)
    bounds = {"minimum": least, "maximum": least + rng.randint(0, 1000)}
    kept = rng.sample(sorted(bounds), rng.randint(1, 2))
    return {"type": "integer", **{name: bounds[name] for name in kept}}


def _number(rng: random.Random, _: int) -> Schema:
    return {"type": "number", "minimum": 0, "exclusiveMaximum": rng.randint(1, 100)}


def _boolean(_: random.Random, __: int) -> Schema:
    return {"type": "boolean"}


def _enum(rng: random.Random, _: int) -> Schema:
    return {"enum": rng.sample(["celsius", "low", "é", 'a "b"', 3, None, True], rng.randint(1, 4))}


def _constant(rng: random.Random, _: int) -> Schema:
    return {"const": rng.choice(["fixed", 7, False])}


def _nullable(rng: random.Random, _: int) -> Schema:
    return {"type": rng.sample(["boolean", "null"], 2)}


def _string(rng: random.Random, _: int) -> Schema:
    pattern = rng.choice(["^[a-z]{2,5}$", "^[A-Z][0-9]{3}$", "^(yes|no)$"])
    least = rng.randint(0, 3)
    length = {"minLength": least, "maxLength": least + rng.randint(1, 8)}
    return {"type": "string", **({"pattern": pattern} if rng.random() < 0.5 else length)}


def _array(rng: random.Random, depth: int) -> Schema:
    least = rng.randint(0, 2)
    items = _value(rng, depth + 1)
    return {
        "type": "array",
        "items": items,
        "minItems": least,
        "maxItems": least + rng.randint(0, 2),
    }


def _either(rng: random.Random, depth: int) -> Schema:
    return {"anyOf": [_value(rng, depth + 1), _object(rng, depth + 1)]}
