"""A required call is written as its format writes it, and read back from that."""

import json
from collections.abc import Iterator

import pytest

from mesh.core.chat import Form, FormKind, Tool
from mesh.errors import InvalidRequest
from node_agent.engine.call_grammar import Thought, arguments_schema, of_call
from node_agent.engine.constraint import Constraint, Grammars
from node_agent.engine.reply import Reading, Reply
from node_agent.engine.tool_formats import FORMATS, HERMES, ToolFormat
from tests.node_agent.engine.alone import Alone
from tests.node_agent.engine.conftest import TINY

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = (Tool("now"), Tool("weather", "", json.dumps(CITY)))
ARGUMENTS = '{"city": "Oslo"}'
MARK = 259  # a control token of the test model; stands for a format's opening here


@pytest.fixture(scope="module")
def grammars() -> Iterator[Grammars]:
    grammars = Grammars(Alone(TINY))
    grammars.of_form(Form(FormKind.JSON))  # what it tries grammars in is there from now on
    yield grammars
    grammars.close()


def call(form: ToolFormat) -> str:
    before, between, end = form.written
    opening = "" if form.bare else form.opening
    return f"{opening}{before}weather{between}{ARGUMENTS}{end}"


def constraint(
    grammars: Grammars, form: ToolFormat, *, mark: str = "", thought: Thought = Thought.NONE
) -> Constraint:
    def control_token(text: str) -> int | None:
        return MARK if text == mark else None

    return of_call(grammars, TOOLS, form, control_token, thought)


def accept(constraint: Constraint, text: str) -> None:
    for byte in text.encode():
        constraint.accept(byte)


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_what_a_grammar_lets_through_is_read_as_a_call(
    grammars: Grammars, form: ToolFormat
) -> None:
    text = call(form)
    bound = constraint(grammars, form)
    accept(bound, text)
    assert bound.complete
    reply = Reply(Reading(form, frozenset({"weather"})))
    [made] = reply.finish(text).calls
    assert (made.name, made.arguments_json) == ("weather", ARGUMENTS)


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_nothing_else_gets_through(grammars: Grammars, form: ToolFormat) -> None:
    text = call(form)
    for wrong in ("Well", f"{text}!", text.replace("weather", "other"), text.replace("city", "c")):
        with pytest.raises(InvalidRequest):
            accept(constraint(grammars, form), wrong)


def test_a_mark_that_is_a_control_token_is_written_as_that(grammars: Grammars) -> None:
    for form in FORMATS:
        if form.bare:
            continue
        bound = constraint(grammars, form, mark=form.opening)
        bound.accept(MARK)
        accept(bound, call(form).removeprefix(form.opening))
        assert bound.complete
        with pytest.raises(InvalidRequest):
            accept(constraint(grammars, form, mark=form.opening), form.opening)


def test_a_space_may_come_before_as_many_vocabularies_begin_a_text(grammars: Grammars) -> None:
    for form in FORMATS:
        bound = constraint(grammars, form)
        accept(bound, f" {call(form)}")
        assert bound.complete
        made = Reply(Reading(form, frozenset({"weather"}))).finish(f" {call(form)}")
        assert (len(made.calls), made.text) == (1, "")


def test_thoughts_may_come_before_and_must_end_where_the_prompt_began_them(
    grammars: Grammars,
) -> None:
    text = call(HERMES)
    for thought, fits in (
        (Thought.ALLOWED, ("", "<think>a </b\n</think>\n\n")),
        (Thought.BEGUN, ("a < b\n</think>\n", "</think>")),
    ):
        for before in fits:
            bound = constraint(grammars, HERMES, thought=thought)
            accept(bound, before + text)
            assert bound.complete
    with pytest.raises(InvalidRequest):
        accept(constraint(grammars, HERMES), "<think>")
    bound = constraint(grammars, HERMES, thought=Thought.BEGUN)
    accept(bound, text)  # is still a thought
    assert not bound.complete
    bound = constraint(grammars, HERMES, thought=Thought.BEGUN, mark="</think>")
    accept(bound, "so </think>")
    bound.accept(MARK)
    accept(bound, "\n" + text)
    assert bound.complete


@pytest.mark.parametrize(
    ("schema", "closed"),
    [
        ({"properties": {"a": {}}}, True),
        ({"properties": {}}, True),
        ({"properties": {"a": {}}, "required": ["a"]}, True),
        ({"properties": {"a": {}}, "required": ["b"]}, False),
        ({"properties": {"a": {}}, "additionalProperties": True}, False),
        ({"properties": {"a": {}}, "anyOf": [{"required": ["b"]}]}, False),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"type": "object"}}}, False),
        ({}, False),
    ],
)
def test_arguments_that_are_listed_are_all_there_are(
    schema: dict[str, object], closed: bool
) -> None:
    made = arguments_schema(Tool("f", "", json.dumps(schema)))
    assert made["type"] == "object"
    assert (made.get("additionalProperties") is False) == closed


def test_a_hundred_tools_at_once_can_be_required(grammars: Grammars) -> None:
    tools = [Tool(f"tool_{number}", "", json.dumps(CITY)) for number in range(128)]
    bound = of_call(grammars, tools, HERMES, lambda _: None, Thought.NONE)
    accept(bound, call(HERMES).replace("weather", "tool_127"))
    assert bound.complete


def test_a_grammar_that_is_asked_for_again_begins_anew(grammars: Grammars) -> None:
    for _ in range(3):
        first, second = constraint(grammars, HERMES), constraint(grammars, HERMES)
        accept(first, call(HERMES))
        assert first.complete
        assert not second.complete
        with pytest.raises(InvalidRequest):
            accept(second, "Well")
