"""How families of models write that they want a function called: facts, one entry a format.

Each was read off the models' own chat templates. A model whose template shows none of them is told
in words to write as Hermes does (``turns_in_words``), which most models have seen.
"""

import re
from dataclasses import dataclass

_JSON_SPACE = r"[ \t\r\n]*"


@dataclass(frozen=True, slots=True)
class ToolFormat:
    """A way to write calls. Reading is generous where families differ among themselves."""

    name: str
    opening: str  # what begins a call
    closing: str  # what may follow it; "" for nothing
    head: re.Pattern[str]  # after the opening, up to the JSON; group ``name``: the name is there
    head_so_far: re.Pattern[str]  # all of what may still become a head
    # How one call is written: the call's name goes between the first two, its arguments between
    # the last two. The opening comes before, and the closing is part of the last.
    written: tuple[str, str, str]
    signs: tuple[str, ...]  # a template that holds all of these writes calls so
    unlike: tuple[str, ...] = ()  # but not if it holds one of these
    bare: bool = False  # the opening may be missing where the call is the whole answer
    alone: bool = False  # nothing may follow a call
    control: tuple[
        str, ...
    ] = ()  # control tokens that calls are made with; else these have no text
    short_ids: bool = False  # templates refuse ids that are not nine letters and digits


def _head_so_far(*words: str) -> str:
    """Return a pattern of every beginning of ``words``, with any space before each."""
    pattern = ""
    for word in reversed(words):
        for letter in reversed(word):
            pattern = f"(?:{re.escape(letter)}{pattern})?"
        pattern = _JSON_SPACE + pattern
    return pattern


def _spaced(*words: str) -> str:
    return "".join(_JSON_SPACE + re.escape(word) for word in words)


# Qwen 2.5, Qwen 3, Hermes 2 and 3, and many that learnt from them: one such pair for each call.
HERMES = ToolFormat(
    name="hermes",
    opening="<tool_call>",
    closing="</tool_call>",
    head=re.compile(rf"{_JSON_SPACE}(?=\{{)"),
    head_so_far=re.compile(_JSON_SPACE),
    written=('\n{"name": "', '", "arguments": ', "}\n</tool_call>"),
    signs=("<tool_call>",),
    # Qwen3-Coder and GLM 4.5 put XML into the same tags, Apriel a list into others.
    unlike=("<function=", "<arg_key>", "<tool_calls>"),
    control=("<tool_call>", "</tool_call>"),
)

# Llama 3.1 to 3.3: the whole answer is one object, sometimes after <|python_tag|>.
_TYPED = ("{", '"type"', ":", '"function"', ",", '"name"', ":", '"')
_NAMED = ("{", '"name"', ":", '"')
LLAMA_3 = ToolFormat(
    name="llama-3",
    opening="<|python_tag|>",
    closing="",
    head=re.compile(rf"{_JSON_SPACE}(?={_spaced(*_NAMED)}|{_spaced(*_TYPED)})"),
    head_so_far=re.compile(f"{_head_so_far(*_NAMED)}|{_head_so_far(*_TYPED)}"),
    written=('{"name": "', '", "parameters": ', "}"),
    signs=("<|start_header_id|>ipython<|end_header_id|>",),
    unlike=("<function=", ">>>"),  # Functionary's
    bare=True,
    alone=True,
    control=("<|python_tag|>",),
)

# Mistral up to Nemo and Small 3.1: a list of calls. Later ones: a name, a mark, the arguments.
# Both are read wherever either is written.
_MISTRAL_HEAD = re.compile(
    rf"{_JSON_SPACE}(?:(?=\[{_JSON_SPACE}\{{)|(?P<name>[A-Za-z0-9_-]{{1,64}})"
    rf"(?:\[CALL_ID\][A-Za-z0-9_-]{{1,64}})?(?:\[ARGS\])?{_JSON_SPACE}(?=\{{))"
)
_MISTRAL_HEAD_SO_FAR = re.compile(r"[A-Za-z0-9_\-\[\] \t\r\n]*")
_MISTRAL_CONTROL = ("[TOOL_CALLS]", "[ARGS]", "[CALL_ID]")
MISTRAL = ToolFormat(
    name="mistral",
    opening="[TOOL_CALLS]",
    closing="",
    head=_MISTRAL_HEAD,
    head_so_far=_MISTRAL_HEAD_SO_FAR,
    written=('[{"name": "', '", "arguments": ', "}]"),
    signs=("[TOOL_CALLS]",),
    unlike=("[ARGS]",),
    control=_MISTRAL_CONTROL,
    short_ids=True,
)
MISTRAL_ARGS = ToolFormat(
    name="mistral-args",
    opening="[TOOL_CALLS]",
    closing="",
    head=_MISTRAL_HEAD,
    head_so_far=_MISTRAL_HEAD_SO_FAR,
    written=("", "[ARGS]", ""),
    signs=("[TOOL_CALLS]", "[ARGS]"),
    control=_MISTRAL_CONTROL,
    short_ids=True,
)

FORMATS = (HERMES, LLAMA_3, MISTRAL, MISTRAL_ARGS)


def format_of(template: str) -> ToolFormat | None:
    """Return the format that a chat template's source shows; None for one that we do not know."""
    for known in FORMATS:
        if all(sign in template for sign in known.signs) and not any(
            sign in template for sign in known.unlike
        ):
            return known
    return None
