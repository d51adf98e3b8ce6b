"""Secrets: a line that leaks one, a password too weak to keep one, and the length of a hash."""

import re
from random import Random
from string import ascii_letters, ascii_lowercase, ascii_uppercase, digits, hexdigits

from models.tasks.task import Sample, Task

_PASSWORD = "Is this password safe or risky: "  # noqa: S105 - a question, not a password
_LEAK = "Which of these lines leaks a secret: "
_HASH = "Which kind of hash is this: "

_PASSWORD_LETTERS_MIN = 10
_SECRET_KEYS = ("api_key", "password", "secret", "token")
_PLAIN_KEYS = ("cache", "color", "level", "port", "retries", "user", "zone")
_MASKS = ("***", "$ENV", "none")  # a secret's key with no secret behind it
_LINE = re.compile(r"(\d)\) ([a-z_]+)=(\S+)")
_HEX_DIGITS = {"md5": 32, "sha1": 40, "sha256": 64}  # RFC 1321; FIPS 180-4
_HEX = tuple(hexdigits[:16])


def _generate_password(rng: Random) -> Sample:
    """A risky one is too short, or lacks one of three sorts; it looks like a safe one otherwise."""
    safe = rng.random() < 0.5
    short = not safe and rng.random() < 0.5
    letters = rng.randint(4, _PASSWORD_LETTERS_MIN - 1) if short else rng.randint(10, 16)
    sorts = [ascii_lowercase, ascii_uppercase, digits]
    if not safe and not short:
        sorts.remove(rng.choice(sorts))
    drawn = [rng.choice(sort) for sort in sorts]
    drawn += rng.choices("".join(sorts), k=letters - len(drawn))
    rng.shuffle(drawn)
    return Sample(_PASSWORD + "".join(drawn), "safe" if safe else "risky")


def _check_password(prompt: str, answer: str) -> bool:
    password = prompt.removeprefix(_PASSWORD)
    if password == prompt or not password.isalnum():
        return False
    sorts = (str.islower, str.isupper, str.isdigit)
    complete = all(any(map(sort, password)) for sort in sorts)
    safe = complete and len(password) >= _PASSWORD_LETTERS_MIN
    return answer == ("safe" if safe else "risky")


def _generate_leak(rng: Random) -> Sample:
    lines = rng.randint(2, 5)
    leak = rng.randint(1, lines)
    listed = []
    for number in range(1, lines + 1):
        value = "".join(rng.choices(ascii_letters + digits, k=rng.randint(4, 10)))
        key = rng.choice(_SECRET_KEYS if number == leak or rng.random() < 0.4 else _PLAIN_KEYS)
        if key in _SECRET_KEYS and number != leak:
            value = rng.choice(_MASKS)
        listed.append(f"{number}) {key}={value}")
    return Sample(_LEAK + "; ".join(listed), str(leak))


def _check_leak(prompt: str, answer: str) -> bool:
    if not prompt.startswith(_LEAK):
        return False
    leaks = [
        line[1]
        for line in map(_LINE.fullmatch, prompt.removeprefix(_LEAK).split("; "))
        if line is not None and line[2] in _SECRET_KEYS and line[3] not in _MASKS
    ]
    return leaks == [answer]


def _generate_hash(rng: Random) -> Sample:
    """One in four is a few digits too short or too long for its kind."""
    kind = rng.choice(tuple(_HEX_DIGITS))
    length = _HEX_DIGITS[kind]
    if rng.random() < 0.25:
        kind, length = "none", length + rng.choice((-3, -2, -1, 1, 2, 3))
    return Sample(_HASH + "".join(rng.choices(_HEX, k=length)), kind)


def _check_hash(prompt: str, answer: str) -> bool:
    digest = prompt.removeprefix(_HASH)
    if digest == prompt or re.fullmatch(r"[0-9a-f]+", digest) is None:
        return False
    return answer == {32: "md5", 40: "sha1", 64: "sha256"}.get(len(digest), "none")


FAMILY = (
    Task(
        name="password",
        domain="security",
        description="Whether a password has ten letters of three sorts; counting is the hard part.",
        example="Is this password safe or risky: hunter2",
        generate=_generate_password,
        check=_check_password,
    ),
    Task(
        name="leaking_line",
        domain="security",
        description="The number of the one line of two to five that shows a secret.",
        example="Which of these lines leaks a secret: 1) user=bob; 2) token=***; 3) secret=x9K2fQ",
        generate=_generate_leak,
        check=_check_leak,
    ),
    Task(
        name="hash_kind",
        domain="security",
        description="Which hash has a digest of this length, if any; hard, for lengths are near.",
        example="Which kind of hash is this: 5d41402abc4b2a76b9719d911017c592",
        generate=_generate_hash,
        check=_check_hash,
    ),
)
