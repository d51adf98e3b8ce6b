"""What a model's name says of it: family, specialities, how much of it works on a token.

Facts that their makers published, found by patterns in names. A name that says nothing is no
mistake: what is not known here stays unknown, and the operator's ``[models."NAME"]`` says it.
"""

import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Family:
    """Models of one maker's line, by what their names hold."""

    name: str
    pattern: re.Pattern[str]


def _family(name: str, pattern: str) -> Family:
    return Family(name, re.compile(rf"(?:^|[^a-z])(?:{pattern})"))


# The first that matches: a narrower pattern stands before a wider one. Of a distilled model the
# first name counts, as in deepseek-r1-distill-qwen-7b.
FAMILIES: Final = (
    _family("gpt-oss", r"gpt-?oss"),
    _family("deepseek", r"deepseek"),
    _family("qwen", r"qwen|qwq|qvq"),
    _family("llama", r"(?:code|meta-|tiny)?llama"),
    _family("gemma", r"(?:med|code|t5|pali)?gemma"),
    _family("mistral", r"[a-z]*stral(?:[^a-z]|$)|mixtral|pixtral|mathstral"),
    _family("phi", r"phi-?\d"),
    _family("granite", r"granite"),
    _family("smollm", r"smol(?:lm|vlm)"),
    _family("olmo", r"olmoe?"),
    _family("falcon", r"falcon"),
    _family("starcoder", r"starcoder"),
    _family("glm", r"(?:chat)?glm"),
    _family("yi", r"yi-"),
    _family("command", r"command-|c4ai|aya"),
    _family("nomic-embed", r"nomic-embed"),
    _family("bge", r"bge-"),
    _family("gpt", r"(?:chat)?gpt-?\d|text-embedding|o[1-9](?:-|$)"),
    _family("claude", r"claude"),
    _family("gemini", r"gemini"),
    _family("grok", r"grok"),
)
# What a line of models was made for. Makers say it in the name.
_SPECIALITIES: Final = (
    (
        "code",
        re.compile(
            r"(?:^|[^a-z])coder?(?:[^a-z]|$)|codellama|codegemma|starcoder|codestral|devstral"
        ),
    ),
    ("math", re.compile(r"math(?:stral)?(?:[^a-z]|$)")),
    ("medicine", re.compile(r"medgemma|biomistral|meditron")),
)
# Of an upstream's models makers publish no sizes, but they name their smaller ones so.
_SMALLER: Final = re.compile(
    r"(?:^|[^a-z])(?:mini|nano|micro|haiku|flash|lite|small|tiny)(?:[^a-z]|$)"
)
_SIZE: Final = re.compile(
    r"(?:^|[^a-z0-9.])(?:(\d{1,3})x)?(\d{1,4}(?:\.\d{1,3})?)([bm])(?![a-z0-9])"
)
_ACTIVE: Final = re.compile(
    r"(?:^|[^a-z0-9])a(\d{1,3}(?:\.\d{1,2})?)b(?![a-z0-9])"
)  # qwen3-30b-a3b
# Parameters that work on one token, in billions, where the name does not say (model cards).
_KNOWN_ACTIVE: Final = (
    (re.compile(r"gpt-?oss-?20b"), 3.6),
    (re.compile(r"gpt-?oss-?120b"), 5.1),
    (re.compile(r"mixtral-8x7b"), 12.9),
    (re.compile(r"mixtral-8x22b"), 39.0),
)
BILLION: Final = 1_000_000_000


def family_of(name: str) -> str:
    """Return the family that ``name``, in lower case, belongs to; "" if none here."""
    name = _bare(name)
    return next((each.name for each in FAMILIES if each.pattern.search(name)), "")


def specialities_of(name: str) -> tuple[str, ...]:
    """Return the domains that models of such a name were made for."""
    name = _bare(name)
    return tuple(domain for domain, pattern in _SPECIALITIES if pattern.search(name))


def is_smaller(name: str) -> bool:
    """Does a maker call this one of its smaller models?"""
    return _SMALLER.search(_bare(name)) is not None


def parameters_of(name: str) -> int:
    """Return how many parameters a name speaks of, as in ``qwen2.5-7b``; 0 if it does not.

    ``8x7b`` counts as 56 billion: a little more than such models have, whose experts share some.
    """
    found = _SIZE.search(_bare(name))
    if found is None:
        return 0
    experts, number, unit = found.groups()
    return int(int(experts or 1) * float(number) * (BILLION if unit == "b" else 1_000_000))


def active_parameters_of(name: str) -> int:
    """Return how many parameters work on a token where not all of them do; 0: all, or unknown."""
    name = _bare(name)
    if (found := _ACTIVE.search(name)) is not None:
        return int(float(found.group(1)) * BILLION)
    return next((int(b * BILLION) for pattern, b in _KNOWN_ACTIVE if pattern.search(name)), 0)


def _bare(name: str) -> str:
    """Drop whose it is: ``anthropic/claude-x`` is ``claude-x``."""
    return name.rpartition("/")[2]
