"""The test models' tokenizer: one token for each byte, and four that mark the turns of a chat.

In a model file it is a "gpt2" byte-pair vocabulary without merges, so llama.cpp encodes exactly as
``encode`` does. Letters stay apart on purpose: reversing a word needs to see them.
"""

from collections.abc import Sequence

END, USER, ASSISTANT, SYSTEM = range(256, 260)
SPECIAL = ("<|end|>", "<|user|>", "<|assistant|>", "<|system|>")
VOCABULARY_SIZE = 256 + len(SPECIAL)

# The layout of Phi-3, one that llama.cpp also knows by heart: a program that ignores the template
# in the file and asks ``llama_chat_apply_template`` gets the same prompt. A role that is not known
# (a tool's result) speaks as the user; content may be a string, null, or a list of parts.
CHAT_TEMPLATE = """\
{%- for message in messages -%}
{%- set role = message['role'] if message['role'] in ['system', 'assistant'] else 'user' -%}
{{- '<|' + role + '|>\\n' -}}
{%- if message['content'] is string -%}
{{- message['content'] -}}
{%- elif message['content'] is iterable -%}
{%- for part in message['content'] -%}{{- part['text'] or '' -}}{%- endfor -%}
{%- endif -%}
{{- '<|end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|assistant|>\\n' -}}{%- endif -%}
"""

_NEWLINE = ord("\n")


def encode(text: str) -> list[int]:
    """Return a token for each byte of ``text``; turn marks in it are text like any other."""
    return list(text.encode())


def decode(ids: Sequence[int]) -> str:
    """Return the text of ``ids`` without turn marks; broken UTF-8 becomes U+FFFD."""
    return bytes(token for token in ids if token < 256).decode(errors="replace")


def turn(role: int, content: str) -> list[int]:
    """Return a whole message as ``CHAT_TEMPLATE`` renders it, after its ``role`` mark."""
    return [role, _NEWLINE, *encode(content), END, _NEWLINE]


def opening() -> list[int]:
    """Return what makes the model speak: the generation prompt of ``CHAT_TEMPLATE``."""
    return [ASSISTANT, _NEWLINE]


def vocabulary() -> list[str]:
    """Return every token's text as a "gpt2" vocabulary writes it, by id."""
    return [_byte_to_letter(byte) for byte in range(256)] + list(SPECIAL)


def _byte_to_letter(byte: int) -> str:
    """Map a byte to the printable letter that stands for it (GPT-2's ``bytes_to_unicode``)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    if byte in printable:
        return chr(byte)
    return chr(0x100 + sum(other not in printable for other in range(byte)))
