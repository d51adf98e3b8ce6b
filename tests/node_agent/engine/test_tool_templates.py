"""Tools, calls and results reach a model in its template's own terms, or in words."""

import json

import pytest

from mesh.core.chat import Message, Role, Tool, ToolCall
from mesh.errors import InvalidRequest
from models.tokenizer import CHAT_TEMPLATE
from node_agent.engine.template import CHATML, ChatTemplate
from node_agent.engine.tool_formats import (
    FORMATS,
    HERMES,
    LLAMA_3,
    MISTRAL,
    MISTRAL_ARGS,
    ToolFormat,
    format_of,
)

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = Tool("weather", "Tells the weather.", json.dumps(CITY))
ASKED = Message(Role.USER, "Rain in Oslo?")
CALL = ToolCall("abcdef123", "weather", '{"city": "Oslo"}')
CALLED = Message(Role.ASSISTANT, "", (CALL,))
TOLD = Message(Role.TOOL, "yes", (), "abcdef123")
CONVERSATION = (ASKED, CALLED, TOLD)

# Each shows tools and calls as the templates of its family do, and refuses what they refuse.
QWEN_LIKE = """\
{%- if tools %}<|im_start|>system
{%- for tool in tools %}
{{ tool | tojson }}
{%- endfor %}
Write <tool_call>...</tool_call>.<|im_end|>
{% endif %}
{%- for message in messages %}
{%- if message.role == 'tool' %}<|im_start|>user
<tool_response>
{{ message.content }}
</tool_response><|im_end|>
{% else %}<|im_start|>{{ message.role }}
{{ message.content }}
{%- for call in message.tool_calls or [] %}{% set call = call.function %}
<tool_call>
{"name": "{{ call.name }}", "arguments": {{ call.arguments | tojson }}}
</tool_call>
{%- endfor %}<|im_end|>
{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
LLAMA_LIKE = """\
{{- bos_token }}
{%- for message in messages %}
{%- if loop.first and tools is not none %}
{%- for tool in tools %}{{ tool | tojson(indent=2) }}{% endfor %}
{%- endif %}
{%- if 'tool_calls' in message %}
{%- if message.tool_calls | length != 1 %}{{ raise_exception('one call at a time') }}{% endif %}
{%- set call = message.tool_calls[0].function %}
{"name": "{{ call.name }}", "parameters": {{ call.arguments | tojson }}}<|eot_id|>
{%- elif message.role == 'tool' %}<|start_header_id|>ipython<|end_header_id|>

{{ message.content }}<|eot_id|>
{%- else %}<|start_header_id|>{{ message.role }}<|end_header_id|>

{{ message.content | trim }}<|eot_id|>
{%- endif %}
{%- endfor %}
{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}"""
MISTRAL_LIKE = """\
{%- for message in messages %}
{%- if message.role == 'user' %}
{%- if tools is not none and loop.first %}[AVAILABLE_TOOLS]{{ tools | tojson }}[/AVAILABLE_TOOLS]
{%- endif %}[INST]{{ message.content }}[/INST]
{%- elif message.tool_calls is defined %}[TOOL_CALLS][
{%- for call in message.tool_calls %}
{%- if call.id | length != 9 %}{{ raise_exception('ids have length 9') }}{% endif %}
{{- (call.function | tojson)[:-1] + ', "id": "' + call.id + '"}' }}
{%- endfor %}]
{%- elif message.role == 'tool' %}
{%- if message.tool_call_id | length != 9 %}{{ raise_exception('ids have length 9') }}{% endif %}
{{- '[TOOL_RESULTS]{"content": ' + message.content + ', "call_id": "' + message.tool_call_id }}
{%- else %}{{ message.content + eos_token }}
{%- endif %}
{%- endfor %}"""
# Arguments as text, and only in messages without content, as some templates have it.
TEXT_LIKE = """\
{%- for tool in tools or [] %}{{ tool.function.name }}{% endfor %}
{%- for message in messages %}
{%- if message.role == 'assistant' and message.content is none %}
{%- for call in message.tool_calls %}
{{- '<tool_call>' + call.function.name + ' ' + call.function.arguments }}
{%- endfor %}
{%- else %}{{ message.role + ': ' + message.content + ' ' }}
{%- endif %}
{%- endfor %}"""
STRICT = """\
{%- for message in messages %}
{%- if message.role == 'system' %}{{ raise_exception('no system') }}{% endif %}
{%- if (message.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('take turns') }}
{%- endif %}({{ message.role }}) {{ message.content }}
{% endfor %}"""


def rendered(
    source: str | None, *messages: Message, tools: tuple[Tool, ...] = (WEATHER,)
) -> tuple[str, ToolFormat]:
    template = ChatTemplate(source, bos="<s>", eos="</s>")
    return template.render(messages or CONVERSATION, tools), template.tool_format


@pytest.mark.parametrize(
    ("source", "form", "call"),
    [
        (
            QWEN_LIKE,
            HERMES,
            '\n<tool_call>\n{"name": "weather", "arguments": {"city": "Oslo"}}\n</tool_call>',
        ),
        (LLAMA_LIKE, LLAMA_3, '{"name": "weather", "parameters": {"city": "Oslo"}}<|eot_id|>'),
        (
            MISTRAL_LIKE,
            MISTRAL,
            '[TOOL_CALLS][{"name": "weather", "arguments": {"city": "Oslo"}, "id": "abcdef123"}]',
        ),
        (TEXT_LIKE, HERMES, '<tool_call>weather {"city": "Oslo"}'),
    ],
)
def test_a_template_that_knows_tools_shows_them_itself(
    source: str, form: ToolFormat, call: str
) -> None:
    text, chosen = rendered(source)
    assert chosen is form
    assert call in text
    assert text.count("weather") >= 2
    assert "These functions" not in text
    told = text[text.index(call) :]
    assert "yes" in told


@pytest.mark.parametrize("source", [None, CHATML, CHAT_TEMPLATE, STRICT, "{{ messages }}"])
def test_a_template_that_knows_none_gets_them_in_words(source: str | None) -> None:
    text, form = rendered(source)
    assert form is HERMES
    assert "<tools>" in text
    assert "Tells the weather." in text
    assert '"arguments": {"city": "Oslo"}}' in text.replace("\\", "")
    assert "<tool_response>" in text
    assert "yes" in text


def test_words_join_the_system_message_or_make_one() -> None:
    text, _ = rendered(None, Message(Role.SYSTEM, "Be brief."), ASKED)
    assert text.startswith(
        "<|im_start|>system\nBe brief.\n\nThese functions can be called:\n<tools>"
    )
    text, _ = rendered(None, ASKED)
    assert text.startswith("<|im_start|>system\nThese functions can be called:\n<tools>")


def test_a_template_that_refuses_system_messages_gets_the_words_from_the_user() -> None:
    text, _ = rendered(STRICT, ASKED)
    assert text.startswith("(user) These functions can be called:")
    assert text.rstrip().endswith("Rain in Oslo?")


def test_results_in_words_leave_roles_alternating() -> None:
    other = Message(Role.TOOL, "no", (), "other")
    text, _ = rendered(STRICT, ASKED, CALLED, TOLD, other, Message(Role.USER, "Sure?"), tools=())
    assert text.count("(user)") == 2
    assert "yes\n</tool_response>\n<tool_response>\nno\n</tool_response>\nSure?" in text
    assert "<tools>" not in text


def test_a_template_whose_calls_nobody_reads_is_told_in_words_how_to_call() -> None:
    source = QWEN_LIKE.replace("tool_call>", "call>")
    text, form = rendered(source)
    assert form is HERMES
    assert "<tools>" in text


def test_ids_of_other_servers_are_shortened_where_a_template_wants_it_alike_in_both_places() -> (
    None
):
    call = ToolCall("call_0123456789abcdef", "weather", "{}")
    text, _ = rendered(
        MISTRAL_LIKE,
        ASKED,
        Message(Role.ASSISTANT, "", (call,)),
        Message(Role.TOOL, "1", (), call.id),
    )
    made = text.split('"id": "')[1][:9]
    assert made.isalnum()
    assert text.endswith(f'"call_id": "{made}')
    text, _ = rendered(QWEN_LIKE, ASKED, Message(Role.ASSISTANT, "", (call,)))
    assert "call_0123" not in text


def test_a_result_is_named_for_the_call_that_it_answers() -> None:
    source = QWEN_LIKE.replace("<tool_response>\n", "<tool_response>\n{{ message.name }}: ")
    assert "weather: yes" in rendered(source)[0]


def test_what_a_template_refuses_of_calls_is_told_in_its_words() -> None:
    twice = Message(Role.ASSISTANT, "", (CALL, CALL))
    with pytest.raises(InvalidRequest, match="one call at a time"):
        rendered(LLAMA_LIKE, ASKED, twice)


def test_calls_without_json_are_refused_with_their_tools_name() -> None:
    for arguments in ("{", "[]", "nope", '{"a": "\\ud800"}'):
        called = Message(Role.ASSISTANT, "", (ToolCall("abcdef123", "weather", arguments),))
        for source in (QWEN_LIKE, None):
            with pytest.raises(InvalidRequest, match="call of weather"):
                rendered(source, ASKED, called)


def test_a_template_without_end_is_stopped_however_it_is_asked() -> None:
    endless = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    template = ChatTemplate(endless, bos="", eos="", time_limit_s=0.05)
    with pytest.raises(InvalidRequest, match="ran longer"):
        template.render(CONVERSATION, (WEATHER,))


@pytest.mark.parametrize(
    ("source", "form"),
    [
        ("<tool_call>", HERMES),
        ("<tool_call><function=x>", None),
        ("<tool_call>{name}<arg_key>", None),
        ("<tool_call> <tool_calls>[", None),
        ("<|start_header_id|>ipython<|end_header_id|>", LLAMA_3),
        ("[TOOL_CALLS] [", MISTRAL),
        ("[TOOL_CALLS]name[ARGS]{", MISTRAL_ARGS),
        ("{{ tools }}", None),
    ],
)
def test_a_format_is_known_by_its_signs(source: str, form: ToolFormat | None) -> None:
    assert format_of(source) is form


def test_no_template_shows_two_formats() -> None:
    assert len({form.name for form in FORMATS}) == len(FORMATS)
    for form in FORMATS:
        assert format_of("".join(form.signs)) is form
