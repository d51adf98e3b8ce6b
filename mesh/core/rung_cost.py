"""What an answer of a model is expected to cost, in micro-USD: money of an upstream, or energy.

Energy costs next to nothing, and not nothing: so rungs of the mesh stand in order of their size,
and before any that is paid for.
"""

from typing import Final

from mesh.core.catalogue import Entry

# What a household pays in the EU (Eurostat, first half of 2024: EUR 0.289); in the USA about half.
USD_PER_KWH: Final = 0.30
# Energy to read a token of the prompt, as a share of what writing one takes: prompts are read many
# tokens at a time, and desks read some ten times as fast as they write.
READING: Final = 0.1


def expected_microusd(
    entry: Entry, prompt_tokens: float, answer_tokens: float, *, usd_per_kwh: float = USD_PER_KWH
) -> float:
    """Return what an answer is expected to cost; 0 only where nobody knows the price.

    Args:
        prompt_tokens: that have to be read; those that a machine still holds cost nothing.
    """
    if (price := entry.price) is not None:
        return prompt_tokens * price.input_microusd + answer_tokens * price.output_microusd
    tokens = answer_tokens + READING * prompt_tokens
    return tokens * entry.energy_microwatthours * usd_per_kwh / 1000  # a kWh has 1e9 uWh


def whole_microusd(microusd: float) -> int:
    """Return it as receipts have it: rounded up, so that what costs something shows."""
    return int(-(-microusd // 1))
