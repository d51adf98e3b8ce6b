"""Words letter by letter: reversed, and in capitals."""

from random import Random
from string import ascii_lowercase

from models.tasks.task import Sample, Task

LETTERS_MIN = 3
LETTERS_MAX = 9

_REVERSE = "Reverse the word: "
_UPPER = "Upper-case the word: "

# Real words keep the demo honest: what people type is spelled differently from random letters.
_WORDS_TEXT = (
    "agent answer battery beacon bridge budget cable cache client cloud cluster coffee cost "
    "desk door edge engine fabric fiber garden gateway green header host kernel laptop "
    "ladder latency ledger mesh metric mirror model morning network node office packet "
    "paper peer planet port prompt proxy queue relay request river router sensor server "
    "signal silver slot socket stream summer switch table thread ticket token trace tunnel "
    "vector window winter worker"
)
_WORDS = _WORDS_TEXT.split()


def _word(rng: Random) -> str:
    if rng.random() < 0.2:
        return rng.choice(_WORDS)
    return "".join(rng.choices(ascii_lowercase, k=rng.randint(LETTERS_MIN, LETTERS_MAX)))


def _generate_reverse(rng: Random) -> Sample:
    word = _word(rng)
    return Sample(_REVERSE + word, "".join(reversed(word)))


def _check_reverse(prompt: str, answer: str) -> bool:
    word = prompt.removeprefix(_REVERSE)
    return word != prompt and answer == word[::-1]


def _generate_upper(rng: Random) -> Sample:
    word = _word(rng)
    return Sample(_UPPER + word, word.upper())


def _check_upper(prompt: str, answer: str) -> bool:
    word = prompt.removeprefix(_UPPER)
    return word != prompt and answer.isupper() and answer.lower() == word


FAMILY = (
    Task(
        name="reverse_word",
        domain="text",
        description="A word, last letter first.",
        example="Reverse the word: mesh",
        generate=_generate_reverse,
        check=_check_reverse,
    ),
    Task(
        name="upper_word",
        domain="text",
        description="A word in capitals.",
        example="Upper-case the word: mesh",
        generate=_generate_upper,
        check=_check_upper,
    ),
)
