"""How dense a model's prompts are, in bytes a token, as its engine's own counts have taught. Pure.

Two questions, and one answer each: how many tokens a prompt likely has (for an answer of which the
engine told nothing), and how many it may well have (for an engine that cuts a prompt which is too
long, without a word). The second believes what was learned only where it makes tokens more: prompts
in English teach nothing of the next one in Chinese.
"""

from dataclasses import dataclass, field

from mesh.core.estimate import Estimate

BYTES_PER_TOKEN = 3.0  # on the safe side, until it is learned: English has four, code three
RANGE = (1.0, 8.0)  # a byte a token at worst; 8 is beyond any vocabulary we know
PROMPT_TOKENS_MIN = 64  # of fewer, most are the template's


@dataclass(slots=True)
class Density:
    """Of one model of one engine."""

    _bytes_per_token: Estimate = field(default_factory=Estimate)

    def learn(self, prompt_bytes: int, prompt_tokens: int) -> None:
        """The engine has counted a prompt of text alone."""
        if prompt_tokens >= PROMPT_TOKENS_MIN:
            least, most = RANGE
            self._bytes_per_token.add(min(most, max(least, prompt_bytes / prompt_tokens)))

    def likely_tokens(self, prompt_bytes: int) -> int:
        learned = self._bytes_per_token
        return int(prompt_bytes / (learned.value if learned.weight else BYTES_PER_TOKEN))

    def tokens_at_worst(self, prompt_bytes: int) -> int:
        learned = self._bytes_per_token
        fewest = min(learned.value, BYTES_PER_TOKEN) if learned.weight else BYTES_PER_TOKEN
        return int(prompt_bytes / fewest)
