"""How long prompts and answers are: three habits of desk-side clients.

Lengths are drawn from a log-normal distribution, which is what published traces look like: a body
within a factor of three, and a long tail. The medians are plausible, not measured on desks. They
lie near those of Azure's production traces of 2023 (Patel et al., "Splitwise", ISCA 2024: about
1,000 prompt and 130 answer tokens for conversations, 1,500 and 13 for code), but for chats, which
are shorter where a prefix is cached and where people and not products ask. Over all habits a prompt
has 790 tokens on average, and an answer 165.
"""

from dataclasses import dataclass
from math import exp
from random import Random

PROMPT_TOKENS_MIN, PROMPT_TOKENS_MAX = 8, 6000  # the answer fits behind it in 8192
BYTES_PER_TOKEN_SPREAD = 0.1  # of one prompt against others of its habit: nobody's estimate is true


@dataclass(frozen=True, slots=True)
class Habit:
    """What one sort of client asks. ``spread`` is the sigma of a length's logarithm."""

    name: str
    share: float  # of all requests
    prompt_tokens: int  # the median
    prompt_spread: float
    output_tokens: int  # the median
    output_spread: float
    tokens_max: int  # that it lets an answer have
    bytes_per_token: float


HABITS = (
    Habit("chat", 0.55, 300, 1.0, 180, 0.7, tokens_max=1024, bytes_per_token=4.3),
    Habit("documents", 0.20, 1500, 0.6, 150, 0.5, tokens_max=512, bytes_per_token=4.6),
    Habit("code", 0.25, 500, 0.7, 25, 0.8, tokens_max=128, bytes_per_token=3.4),
)


@dataclass(frozen=True, slots=True)
class Lengths:
    """One request's: what is true, and what a coordinator without a tokenizer sees."""

    prompt_tokens: int
    output_tokens: int
    prompt_bytes: int


def draw(habit: Habit, rng: Random) -> Lengths:
    """Draw a request of ``habit``."""
    prompt = habit.prompt_tokens * exp(rng.gauss(0.0, habit.prompt_spread))
    prompt_tokens = int(min(max(prompt, PROMPT_TOKENS_MIN), PROMPT_TOKENS_MAX))
    output = habit.output_tokens * exp(rng.gauss(0.0, habit.output_spread))
    output_tokens = int(min(max(output, 1), habit.tokens_max))
    bytes_per_token = habit.bytes_per_token * exp(rng.gauss(0.0, BYTES_PER_TOKEN_SPREAD))
    return Lengths(prompt_tokens, output_tokens, int(prompt_tokens * bytes_per_token))
