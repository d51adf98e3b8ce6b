"""How sure a model was of what it said, token by token, from the candidates for each draw.

A model's own probabilities need a softmax of all it knows, 152,000 words in many models. Whether it
hesitated shows in its few likeliest words alone, and those cost a twentieth of that.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TokenSign:
    """How a model's own belief was spread before one token was drawn.

    By its logits as they are, at temperature 1: before penalties, biases, forms and filters, and
    whatever the temperature of the draw is. So one model's signs mean the same in all requests.
    """

    top: tuple[float, ...]  # the likeliest candidates' probabilities among them, highest first
    rank: int = 0  # of the token said: 0 is the likeliest candidate
