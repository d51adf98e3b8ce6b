"""Cipher suites: which of them is weak (RFC 7465, RFC 8996, RFC 9325)."""

import re
from random import Random

from models.tasks.task import Sample, Task

_QUESTION = "Which of these ciphers is weak: "
_LINE = re.compile(r"(\d)\) ([A-Z0-9-]+)")

_WEAK = ("3DES-SHA", "DES-MD5", "NULL-SHA", "RC2-MD5", "RC4-128", "RC4-MD5")
_STRONG = (
    "AES-128-CCM",
    "AES-128-GCM",
    "AES-256-CCM",
    "AES-256-GCM",
    "ARIA-128-GCM",
    "ARIA-256-GCM",
    "CHACHA20-POLY1305",
)


def _generate(rng: Random) -> Sample:
    lines = rng.randint(2, 5)
    weak = rng.randint(1, lines)
    strong = iter(rng.sample(_STRONG, k=lines - 1))
    listed = [
        f"{number}) {rng.choice(_WEAK) if number == weak else next(strong)}"
        for number in range(1, lines + 1)
    ]
    return Sample(_QUESTION + "; ".join(listed), str(weak))


def _check(prompt: str, answer: str) -> bool:
    """What has none of the broken parts is strong; judged by the parts, not by the list above."""
    if not prompt.startswith(_QUESTION):
        return False
    lines = [_LINE.fullmatch(line) for line in prompt.removeprefix(_QUESTION).split("; ")]
    broken = {"3DES", "DES", "NULL", "RC2", "RC4", "MD5"}
    return [line[1] for line in lines if line and broken & set(line[2].split("-"))] == [answer]


FAMILY = (
    Task(
        name="weak_cipher",
        domain="security",
        description="The number of the one cipher of two to five that is weak.",
        example="Which of these ciphers is weak: 1) AES-256-GCM; 2) RC4-128; 3) AES-128-CCM",
        generate=_generate,
        check=_check,
    ),
)
