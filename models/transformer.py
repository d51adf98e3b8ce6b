"""A Llama transformer in PyTorch, laid out as llama.cpp reads it, so that exporting only copies.

The one trap: for this architecture llama.cpp rotates *neighbouring* pairs of a head (0 with 1, 2
with 3), where the usual PyTorch code rotates its halves. Training rotates neighbours, so nothing is
permuted.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.recipe import Recipe
from models.tokenizer import VOCABULARY_SIZE


class Transformer(nn.Module):
    """Token ids of shape (batch, tokens) to logits of shape (batch, tokens, vocabulary)."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY_SIZE, recipe.width)
        self.blocks = nn.ModuleList(Block(recipe) for _ in range(recipe.layers))
        self.norm = nn.RMSNorm(recipe.width, eps=recipe.norm_epsilon)
        self.register_buffer("rotations", _rotations(recipe), persistent=False)
        self._initialize(2 * recipe.layers)

    def forward(self, ids: Tensor) -> Tensor:
        """Return next-token logits."""
        return self.logits(self.stream(ids))

    def stream(self, ids: Tensor) -> Tensor:
        """Return what the last block leaves: shape (batch, tokens, width)."""
        hidden: Tensor = self.embedding(ids)
        for block in self.blocks:
            hidden = block(hidden, self.rotations[: ids.shape[1]])
        return hidden

    def logits(self, hidden: Tensor) -> Tensor:
        """Return next-token logits; the output shares the embedding's weights."""
        return functional.linear(self.norm(hidden), self.embedding.weight)

    def _initialize(self, additions: int) -> None:
        """Draw each matrix so that it keeps the size of what it reads (LeCun, 1998).

        What adds to the stream starts smaller, for there are many ``additions``. The usual 0.02 is
        for models ten times as wide: here it left copying unlearned after 900 steps, where this
        learned it within 300.
        """
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                adds = name.endswith(("output.weight", "down.weight"))
                shrink = additions**-0.5 if adds else 1.0
                nn.init.normal_(weight, std=shrink * weight.shape[1] ** -0.5)


class Block(nn.Module):
    """Attention, then a gated feed-forward; each reads a norm of the stream and adds to it."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        width, inner = recipe.width, recipe.feed_forward
        self.heads = recipe.heads
        self.attention_norm = nn.RMSNorm(width, eps=recipe.norm_epsilon)
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.output = nn.Linear(width, width, bias=False)
        self.feed_forward_norm = nn.RMSNorm(width, eps=recipe.norm_epsilon)
        self.gate = nn.Linear(width, inner, bias=False)
        self.up = nn.Linear(width, inner, bias=False)
        self.down = nn.Linear(inner, width, bias=False)

    def forward(self, hidden: Tensor, rotations: Tensor) -> Tensor:
        """Return the stream after this block; ``rotations`` has one row for each position."""
        normed = self.attention_norm(hidden)
        query = _rotate(self._split(self.query(normed)), rotations)
        key = _rotate(self._split(self.key(normed)), rotations)
        value = self._split(self.value(normed))
        seen = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        hidden = hidden + self.output(seen.transpose(1, 2).flatten(2))
        normed = self.feed_forward_norm(hidden)
        gated: Tensor = functional.silu(self.gate(normed)) * self.up(normed)
        return hidden + self.down(gated)

    def _split(self, flat: Tensor) -> Tensor:
        """(batch, tokens, width) to (batch, heads, tokens, head width)."""
        return flat.unflatten(2, (self.heads, -1)).transpose(1, 2)


def _rotations(recipe: Recipe) -> Tensor:
    """Return cosine and sine of each position and pair: shape (tokens, head width / 2, 2)."""
    pairs = torch.arange(0, recipe.head_width, 2) / recipe.head_width
    angles = torch.outer(torch.arange(recipe.context_tokens), recipe.rope_base**-pairs)
    return torch.stack((angles.cos(), angles.sin()), dim=-1)


def _rotate(heads: Tensor, rotations: Tensor) -> Tensor:
    """Turn each neighbouring pair by its position's angle (RoFormer, arXiv:2104.09864)."""
    even, odd = heads.unflatten(-1, (-1, 2)).unbind(-1)
    cosine, sine = rotations.unbind(-1)
    turned = torch.stack((even * cosine - odd * sine, even * sine + odd * cosine), dim=-1)
    return turned.flatten(-2)
