"""What one test model is made of: its shape, how much of each task it sees, and for how long."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that decides a model's weights, but for the training machine's rounding.

    Attributes:
        mix: task name -> its share of the training samples, relative to the others'.
        batch_conversations: conversations in one step; each has one answer or a few.
        rope_base: the "theta" of rotary positions; 10,000 as in Llama.
    """

    name: str
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

    @property
    def head_width(self) -> int:
        """Width of one attention head; llama.cpp wants it even, and 32 suits all its caches."""
        return self.width // self.heads


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(
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
        ),
    )
}
