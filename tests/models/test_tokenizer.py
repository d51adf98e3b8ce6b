"""The tokenizer and the chat template agree, and the template renders whatever a chat holds."""

from typing import Any

import pytest
from jinja2.sandbox import ImmutableSandboxedEnvironment

from models import tokenizer


def render(messages: list[dict[str, Any]], *, add_generation_prompt: bool = True) -> str:
    """Render as engines do: sandboxed, with blocks trimmed."""
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(tokenizer.CHAT_TEMPLATE)
    return template.render(
        messages=messages,
        add_generation_prompt=add_generation_prompt,
        eos_token="<|end|>",
        bos_token="<|end|>",
        tools=None,
    )


def written(ids: list[int]) -> str:
    """Write ids as text, turn marks and all."""
    marks = dict(enumerate(tokenizer.SPECIAL, start=256))
    return "".join(marks.get(token) or chr(token) for token in ids)


def test_tokens_and_template_write_the_same_chat() -> None:
    messages = [
        {"role": "system", "content": "Answer briefly."},
        {"role": "user", "content": "What is 3 + 4?"},
        {"role": "assistant", "content": "7"},
        {"role": "user", "content": "Reverse the word: mesh"},
    ]
    roles = {
        "system": tokenizer.SYSTEM,
        "user": tokenizer.USER,
        "assistant": tokenizer.ASSISTANT,
    }
    ids = [id_ for m in messages for id_ in tokenizer.turn(roles[m["role"]], m["content"])]
    assert render(messages) == written(ids + tokenizer.opening())
    assert render(messages, add_generation_prompt=False) == written(ids)


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"role": "user", "content": ""}, "<|user|>\n<|end|>\n"),
        ({"role": "assistant", "content": None}, "<|assistant|>\n<|end|>\n"),
        ({"role": "assistant"}, "<|assistant|>\n<|end|>\n"),
        ({"role": "tool", "content": "42"}, "<|user|>\n42<|end|>\n"),
        (
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url"}]},
            "<|user|>\na<|end|>\n",
        ),
    ],
)
def test_unusual_messages_render(message: dict[str, Any], text: str) -> None:
    assert render([message], add_generation_prompt=False) == text


def test_an_empty_chat_renders() -> None:
    assert render([]) == "<|assistant|>\n"


def test_the_template_keeps_white_space_of_the_content() -> None:
    content = "\n  two\n\n lines \n"
    assert f"<|user|>\n{content}<|end|>" in render([{"role": "user", "content": content}])


@pytest.mark.parametrize("text", ["mesh", "", "äß 中文 😀", "\x00\n\t", "<|end|>"])
def test_text_survives_encoding(text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert max(tokenizer.encode(text), default=0) < 256, "text can't forge a turn mark"


def test_every_byte_has_its_own_letter() -> None:
    vocabulary = tokenizer.vocabulary()
    assert len(set(vocabulary)) == len(vocabulary) == tokenizer.VOCABULARY_SIZE
    assert vocabulary[ord("a")] == "a"
    assert vocabulary[ord(" ")] == "Ġ"  # as GPT-2 spells it
    assert vocabulary[ord("\n")] == "Ċ"
    assert vocabulary[255] == "ÿ"
