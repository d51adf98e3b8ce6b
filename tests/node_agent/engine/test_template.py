"""Templates are programs by strangers: they render, refuse, or are stopped."""

import time

import pytest

from mesh.core.chat import Message, Role
from mesh.errors import InvalidRequest
from models.tokenizer import CHAT_TEMPLATE
from node_agent.engine.template import ChatTemplate

USER = Message(Role.USER, "What is 2 + 2?")
ENDLESS = """{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}
{%- endfor %}{% endfor %}{% endfor %}"""
FLOOD = "{% set big = 'x' * 1000000 %}{% for a in range(99999) %}{{ big }}{% endfor %}"


def rendered(source: str | None, *messages: Message) -> str:
    return ChatTemplate(source, bos="<s>", eos="</s>").render(messages or (USER,))


def test_a_models_own_template_is_used() -> None:
    assert rendered(CHAT_TEMPLATE) == "<|user|>\nWhat is 2 + 2?<|end|>\n<|assistant|>\n"


def test_a_model_without_a_template_gets_chatml() -> None:
    assert rendered(None, Message(Role.SYSTEM, "Be brief."), USER) == (
        "<|im_start|>system\nBe brief.<|im_end|>\n"
        "<|im_start|>user\nWhat is 2 + 2?<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_a_template_finds_what_hugging_face_offers() -> None:
    source = """\
{{ bos_token }}{{ eos_token }}
{%- if tools is not none or documents is not none %}TOOLS{% endif %}
{%- for message in messages %}
    {%- if message.role == 'system' %}{% continue %}{% endif %}
    {%- generation %}{{ message | tojson }}{% endgeneration %}
{%- endfor %}{{ strftime_now('%Y')|length }}{{ add_generation_prompt }}"""
    text = rendered(source, Message(Role.SYSTEM, "no"), Message(Role.USER, "<é>"))
    assert text == '<s></s>{"role": "user", "content": "<é>"}4True'


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("{{ raise_exception('roles must alternate') }}", "roles must alternate"),
        ("{{ messages[7].content.x }}", "UndefinedError"),
        ("{{ 1 / 0 }}", "ZeroDivisionError"),
        ("{{ messages.__class__.__mro__ }}", "SecurityError"),
        ("{{ messages.append(1) }}", "SecurityError"),
        ("{% for %}", "broken"),
        ("{% include '/etc/passwd' %}", "TypeError"),  # there is nothing to load from
        ("(" * 10_000 + "{{" + "(" * 10_000, "broken"),
    ],
)
def test_a_template_that_fails_refuses_the_request_with_its_reason(
    source: str, reason: str
) -> None:
    with pytest.raises(InvalidRequest, match=r"template") as refused:
        rendered(source)
    assert reason in refused.value.message
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "quoting",
    [
        "raise_exception('I dislike: ' + messages[0].content)",
        "raise_exception(messages[0].content[2:5])",
        "raise_exception(messages[0].content | upper)",
        "{}[messages[0].content].x",
    ],
)
def test_a_template_that_quotes_the_prompt_is_not_quoted(quoting: str) -> None:
    with pytest.raises(
        InvalidRequest, match=r"messages: (TemplateError|UndefinedError)"
    ) as refused:
        rendered("{{ " + quoting + " }}")
    assert "2 + 2" not in str(refused.value)


def test_a_template_that_never_ends_is_stopped() -> None:
    template = ChatTemplate(ENDLESS, bos="", eos="", time_limit_s=0.2)
    began_s = time.process_time()
    with pytest.raises(InvalidRequest, match=r"ran longer than 0.2 s"):
        template.render((USER,))
    assert time.process_time() - began_s < 1


def test_a_template_that_writes_without_end_is_stopped() -> None:
    with pytest.raises(InvalidRequest, match="more than any context holds"):
        rendered(FLOOD)
