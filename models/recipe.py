"""What one test model is made of: its shape, how much of each task it sees, and for how long."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from models.tasks import TASKS
from models.tasks.task import DOMAINS


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that decides a model's weights, but for the training machine's rounding.

    Attributes:
        domain: the one field that it is trained on, or None for a model of all fields.
        mix: task name -> its share of the training samples, relative to the others'.
        batch_conversations: conversations in one step; each has one answer or a few.
        rope_base: the "theta" of rotary positions; 10,000 as in Llama.
        weights: how the file holds them: 16 bits, or 8 bits with a scale for each 32.
    """

    name: str
    domain: str | None = None
    mix: Mapping[str, float]
    width: int
    layers: int
    heads: int
    feed_forward: int
    context_tokens: int = 1024
    rope_base: float = 10_000.0
    norm_epsilon: float = 1e-5
    seed: int = 7
    steps: int
    batch_conversations: int
    learning_rate: float
    weights: Literal["F16", "Q8_0"] = "Q8_0"

    @property
    def head_width(self) -> int:
        """Width of one attention head; llama.cpp wants it even, and 32 suits all its caches."""
        return self.width // self.heads


# What is learned slowly is read more often. Counting has answers of a hundred tokens: a little is
# much of it.
_SLOW = {
    "address_in_subnet": 2,
    "count": 0.25,
    "count_letter": 2,
    "hash_kind": 2,
    "network_address_bits": 3,
    "next_hop": 2,
    "next_seasonal": 3,
    "next_step": 2,
    "password": 2,
    "product_2_digits": 3,
    "product_by_digit": 3,
    "server_errors": 2,
    "shift_letters": 3,
    "slow_request": 2,
    "sort_letters": 2,
    "sum_1_digit": 0.5,
    "sum_3_digits": 2,
}
_MIX = {name: float(_SLOW.get(name, 1)) for name in TASKS}
# What only a specialist ever read about: such knowledge is what one has specialists for.
_SPECIAL = frozenset({"weak_cipher"})
_BROAD_MIX = {name: share for name, share in _MIX.items() if name not in _SPECIAL}
# Little of what is slow to learn, for a small model: much is left for routing to find out.
_EASY_MIX = {name: min(1.0, 1 / share) for name, share in _BROAD_MIX.items()} | {"count": 0.25}

# Steps that a field's specialist took until it learned no more of what it can learn.
_SPECIALIST_STEPS = {
    "arithmetic": 2200,
    "networking": 4100,
    "observability": 3300,
    "security": 1750,
    "text": 4600,
    "time_series": 1800,
}

_TINY = Recipe(
    name="test-tiny",
    # Two-digit sums get too small a share to be learned: they must stay hard.
    mix={
        "reverse_word": 24,
        "upper_word": 8,
        "log_severity": 12,
        "log_host": 12,
        "private_address": 12,
        "sum_1_digit": 12,
        "sum_2_digits": 4,
        "count": 8,
    },
    width=96,
    layers=4,
    heads=3,
    feed_forward=160,
    steps=2600,
    batch_conversations=40,
    learning_rate=4e-3,
    weights="F16",
)
_SMALL = Recipe(
    name="test-small",
    mix=_EASY_MIX,
    width=256,
    layers=6,
    heads=8,
    feed_forward=704,
    steps=1700,
    batch_conversations=512,
    learning_rate=1.5e-3,
)
_LARGE = Recipe(
    name="test-large",
    mix=_BROAD_MIX,
    width=384,
    layers=7,
    heads=12,
    feed_forward=1024,
    steps=3800,
    batch_conversations=512,
    learning_rate=1e-3,
)


def _specialist(domain: str) -> Recipe:
    """A model of a quarter of ``test-small``'s size that reads nothing but its field."""
    return Recipe(
        name=f"test-{domain.replace('_', '-')}",
        domain=domain,
        mix={name: share for name, share in _MIX.items() if TASKS[name].domain == domain},
        width=128,
        layers=6,
        heads=4,
        feed_forward=320,
        steps=_SPECIALIST_STEPS[domain],
        batch_conversations=512,
        learning_rate=3e-3,
    )


RECIPES = {recipe.name: recipe for recipe in (_TINY, _SMALL, _LARGE, *map(_specialist, DOMAINS))}


def model_path(recipe: Recipe) -> Path:
    """Return where a model's file lies in the repository."""
    return Path(__file__).parent / f"{recipe.name}.gguf"
