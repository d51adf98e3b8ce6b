"""A tool call is held against the tool that it calls."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.v1 import inference_pb2 as inference
from mesh.wire.tool_calls import READ_BYTES_MAX, broken

SCHEMA = {
    "type": "object",
    "properties": {
        "host": {"type": "string"},
        "port": {"type": "integer"},
        "mode": {"enum": ["fast", "slow"]},
        "ratio": {"type": ["number", "null"]},
        "anything": True,
    },
    "required": ["host"],
    "additionalProperties": False,
}
TOOL = inference.Tool(name="connect", parameters_json=json.dumps(SCHEMA))


def fits(arguments: object, name: str = "connect") -> bool:
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return broken([inference.ToolCall(id="1", name=name, arguments_json=text)], [TOOL]) == 0


@pytest.mark.parametrize(
    "arguments",
    [
        {"host": "a"},
        {"host": "a", "port": 80},
        {"host": "a", "port": 80.0},
        {"host": "a", "mode": "fast", "ratio": None},
        {"host": "a", "ratio": 0.5, "anything": [1]},
    ],
)
def test_a_call_that_fits(arguments: object) -> None:
    assert fits(arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"port": 80},
        {"host": 5},
        {"host": "a", "port": "80"},
        {"host": "a", "port": True},
        {"host": "a", "port": 80.5},
        {"host": "a", "mode": "medium"},
        {"host": "a", "other": 1},
        [],
        "{",
        "[" * 100_000,
    ],
)
def test_a_call_that_does_not(arguments: object) -> None:
    assert fits(arguments) is (isinstance(arguments, str) and len(arguments) > READ_BYTES_MAX)


def test_a_tool_that_was_not_offered_is_broken() -> None:
    assert not fits({"host": "a"}, name="disconnect")


def test_a_tool_without_a_schema_takes_anything() -> None:
    call = inference.ToolCall(id="1", name="now", arguments_json="{}")
    for schema in ("", "{}", "true", "[]"):
        assert broken([call], [inference.Tool(name="now", parameters_json=schema)]) == 0


@given(st.text(max_size=50), st.text(max_size=50))
def test_no_words_of_a_model_or_a_client_break_it(arguments: str, schema: str) -> None:
    call = inference.ToolCall(id="1", name="t", arguments_json=arguments)
    assert broken([call], [inference.Tool(name="t", parameters_json=schema)]) in {0, 1}


@pytest.mark.parametrize(
    "schema",
    ['{"required": [["a"]]}', '{"required": [{}]}', '{"properties": {"a": {"type": {"b": 1}}}}'],
)
def test_a_schema_that_is_none_is_not_held_against_the_node(schema: str) -> None:
    call = inference.ToolCall(id="1", name="t", arguments_json='{"a": [[]]}')
    assert broken([call], [inference.Tool(name="t", parameters_json=schema)]) == 0
