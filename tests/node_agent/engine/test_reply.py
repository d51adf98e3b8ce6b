"""Thoughts, calls and words are told apart, wherever the text is cut, and nothing is lost."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.core.chat import ToolCall
from node_agent.engine.reply import Reading, Reply, Said
from node_agent.engine.tool_formats import HERMES, LLAMA_3, MISTRAL, MISTRAL_ARGS, ToolFormat

TOOLS = frozenset({"weather", "now"})
OSLO = '{"city": "Oslo"}'
NESTED = '{"city": "O]}\\"slo", "days": [{"n": 1}, {}]}'


def reading(form: ToolFormat | None, *, thinking: bool = False) -> Reading:
    return Reading(form, TOOLS, thoughts=True, thinking=thinking, ids_from=b"seed")


def read(text: str, how: Reading, cuts: tuple[int, ...] = ()) -> tuple[Said, Reply]:
    reply, said, at = Reply(how), Said(), 0
    for cut in (*sorted(cuts), len(text)):
        said, at = said.then(reply.feed(text[at:cut])), max(at, cut)
    return said.then(reply.finish()), reply


def wanted(calls: tuple[ToolCall, ...]) -> list[tuple[str, str]]:
    return [(call.name, call.arguments_json) for call in calls]


CALLS = [
    (HERMES, f'<tool_call>\n{{"name": "weather", "arguments": {OSLO}}}\n</tool_call>'),
    (HERMES, f'<tool_call>{{"arguments": {OSLO}, "name": "weather"}}</tool_call>'),
    (HERMES, f'\n\n<tool_call>\n{{"name": "weather", "arguments": {OSLO}}}'),  # forgot the end
    (HERMES, f'<tool_call>{{"name": "weather", "parameters": {OSLO}}}</tool_call>\n'),
    (LLAMA_3, f'{{"name": "weather", "parameters": {OSLO}}}'),
    (LLAMA_3, f'\n{{ "type" : "function",\n "name": "weather", "parameters": {OSLO}}}\n'),
    (LLAMA_3, f'<|python_tag|>{{"name": "weather", "parameters": {OSLO}}}'),
    (MISTRAL, f'[TOOL_CALLS] [{{"name": "weather", "arguments": {OSLO}}}]'),
    (MISTRAL, f'[TOOL_CALLS][{{"name": "weather", "arguments": {OSLO}, "id": "abcdefghi"}}]'),
    (MISTRAL_ARGS, f"[TOOL_CALLS]weather[ARGS]{OSLO}"),
    (MISTRAL_ARGS, f"[TOOL_CALLS]weather[CALL_ID]abc123def[ARGS]{OSLO}"),
    (MISTRAL_ARGS, f"[TOOL_CALLS]weather{OSLO}"),
]


@pytest.mark.parametrize(("form", "text"), CALLS)
def test_a_call_is_told_as_the_model_wrote_it(form: ToolFormat, text: str) -> None:
    said, reply = read(text, reading(form))
    assert wanted(said.calls) == [("weather", OSLO)]
    assert (said.text, said.reasoning, reply.calls) == ("", "", 1)


@pytest.mark.parametrize(
    ("form", "text"),
    [
        (
            HERMES,
            f'<tool_call>\n{{"name": "weather", "arguments": {NESTED}}}\n</tool_call>\n'
            '<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>',
        ),
        (
            MISTRAL,
            f'[TOOL_CALLS] [{{"name": "weather", "arguments": {NESTED}}}, {{"name": "now"}}]',
        ),
        (MISTRAL_ARGS, f"[TOOL_CALLS]weather[ARGS]{NESTED}[TOOL_CALLS]now[ARGS]{{}}"),
    ],
)
def test_several_calls_come_in_their_order(form: ToolFormat, text: str) -> None:
    said, _ = read(text, reading(form))
    assert wanted(said.calls) == [("weather", NESTED), ("now", "{}")]
    assert said.text == ""
    assert len({call.id for call in said.calls}) == 2


@pytest.mark.parametrize(
    ("form", "text"),
    [
        (HERMES, '<tool_call>\n{"name": "stranger", "arguments": {}}\n</tool_call>'),
        (HERMES, '<tool_call>\n{"name": "now", "arguments": [1]}\n</tool_call>'),
        (HERMES, '<tool_call>\n{"name": "now", "arguments": NaN}\n</tool_call>'),
        (HERMES, '<tool_call>\n{"name": "now" "arguments": {}}\n</tool_call> and so on'),
        (HERMES, '<tool_call>\n{"name": "now", "arguments": {}'),
        (HERMES, "write <tool_call> before it, <tool_call> or not"),
        (HERMES, '{"name": "now", "arguments": {}}'),
        (HERMES, "<tool_call>" + " " * 300 + '{"name": "now"}'),
        (LLAMA_3, '{"name": "now", "parameters": {}} is how one writes it'),
        (LLAMA_3, 'Write {"name": "now", "parameters": {}}'),
        (LLAMA_3, '{"names": ["now"]}'),
        (LLAMA_3, '{"name": "Ada", "parameters": {}}'),
        (LLAMA_3, '<|python_tag|>print("now")'),
        (MISTRAL, '[TOOL_CALLS] [{"name": "now"}, {"name": "stranger"}]'),
        (MISTRAL, "[TOOL_CALLS] [1]"),
        (MISTRAL, '[TOOL_CALL] [{"name": "now"}]'),
        (MISTRAL_ARGS, "[TOOL_CALLS]stranger[ARGS]{}"),
        (MISTRAL_ARGS, '[TOOL_CALLS]now[ARGS]["a"]'),
        (MISTRAL_ARGS, "[TOOL_CALLS]now[ARGS"),
    ],
)
def test_what_only_looks_like_a_call_is_text_unchanged(form: ToolFormat, text: str) -> None:
    said, reply = read(text, reading(form))
    assert (said.text, said.calls, reply.calls) == (text, (), 0)


def test_words_around_calls_stay_words() -> None:
    text = 'Let me look.\n<tool_call>{"name": "now"}</tool_call>\n\nDone. <tool_call>'
    said, _ = read(text, reading(HERMES))
    assert said.text == "Let me look.\n\n\nDone. <tool_call>"
    assert wanted(said.calls) == [("now", "{}")]


def test_thoughts_are_kept_apart() -> None:
    said, _ = read("<think>\nA < b </thin\n</think>\n\nYes.", reading(None))
    assert (said.reasoning, said.text) == ("A < b </thin\n", "Yes.")
    said, _ = read("hm\n</think>\n\nYes.</think>", reading(None, thinking=True))
    assert (said.reasoning, said.text) == ("hm\n", "Yes.</think>")
    said, _ = read("<think>\n\n</think>\n\nYes.", reading(None))
    assert (said.reasoning, said.text) == ("", "Yes.")


@pytest.mark.parametrize("form", [HERMES, MISTRAL, LLAMA_3])
def test_a_call_may_follow_thoughts_and_one_within_them_is_none(form: ToolFormat) -> None:
    before, between, after = form.written
    call = f"{form.opening}{before}now{between}{{}}{after}"
    said, _ = read(f"<think>I could {call}</think>\n\n{call}", reading(form))
    assert said.reasoning == f"I could {call}"
    assert (said.text, wanted(said.calls)) == ("", [("now", "{}")])


def test_thoughts_stand_only_at_the_beginning() -> None:
    text = "Write <think>so</think>."
    assert read(text, reading(HERMES))[0].text == text


def test_thoughts_that_were_cut_stay_thoughts() -> None:
    said, reply = read("still thinking </thi", reading(None, thinking=True))
    assert (said.reasoning, said.text) == ("still thinking </thi", "")
    assert not reply.thinking


def test_an_answer_that_is_read_plainly_is_all_text() -> None:
    text = ' <think>x</think><tool_call>{"name": "now"}</tool_call> '
    assert read(text, Reading())[0] == Said(text)


def test_an_answer_of_mere_space_is_text() -> None:
    for text in ("\n", " " * 100, "\n\n<"):
        assert read(text, reading(HERMES))[0].text == text


def test_an_id_is_nine_letters_and_digits_and_another_for_each_call_and_turn() -> None:
    text = '<tool_call>{"name": "now"}</tool_call>' * 3
    first, again, other = (
        [call.id for call in read(text, how)[0].calls]
        for how in (
            reading(HERMES),
            reading(HERMES),
            Reading(HERMES, TOOLS, ids_from=b"another turn"),
        )
    )
    assert first == again
    assert len({*first, *other}) == 6
    assert all(len(each) == 9 and each.isalnum() for each in first)


def test_a_long_call_is_read_in_one_pass() -> None:
    """Each character of its JSON is looked at once: a file of 100 KB comes in tiny pieces."""
    arguments = json.dumps({"text": 'x"\n' * 20_000})
    text = f'<tool_call>{{"name": "now", "arguments": {arguments}}}</tool_call>'
    said, _ = read(text, reading(HERMES), tuple(range(0, len(text), 4)))
    assert wanted(said.calls) == [("now", arguments)]


FORMATS = (HERMES, LLAMA_3, MISTRAL, MISTRAL_ARGS, None)
PIECES = (
    *("<think>", "</think>", "<tool_call>", "</tool_call>", "[TOOL_CALLS]", "<|python_tag|>"),
    *("[ARGS]", "[CALL_ID]", "[", "]", "{", "}", '"', "\\", ",", " ", "\n", "\n" * 40, "now", "é"),
    *('{"name": "now"}', '{"name": "weather", "arguments": {"city": "Oslo"}}', "[{", "}]", "{}"),
    *('{"type": "function", "name": "now"', '{"name": "now", "parameters": {}}', "<", "</"),
)
TEXTS = st.lists(st.sampled_from(PIECES), max_size=12).map("".join) | st.sampled_from(
    [text for _, text in CALLS]
)


@given(TEXTS, st.sampled_from(FORMATS), st.booleans(), st.lists(st.integers(0, 200), max_size=8))
def test_where_the_text_is_cut_changes_nothing(
    text: str, form: ToolFormat | None, thinking: bool, cuts: list[int]
) -> None:
    how = reading(form, thinking=thinking)
    whole, _ = read(text, how)
    assert read(text, how, tuple(min(cut, len(text)) for cut in cuts))[0] == whole
    assert read(text, how, tuple(range(len(text))))[0] == whole


@given(TEXTS, st.sampled_from(FORMATS))
def test_without_calls_and_thoughts_nothing_is_lost(text: str, form: ToolFormat | None) -> None:
    said, _ = read(text, Reading(form, TOOLS))
    if not said.calls:
        assert said.text == text
    assert said.reasoning == ""
