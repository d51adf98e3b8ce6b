"""How many tokens of a prompt one step takes. Pure: durations are passed in.

A step cannot be divided: whoever streams waits for it, and a cancellation may. So a chunk is as
long as a tenth of a second lets it be on this machine, which learns it from the chunks it did.
"""

# Bounds the memory of attention's scores (without flash attention: 4 bytes x heads x context x
# this; 134 MB for 32 heads and 8192 tokens). Larger ones were not faster on a CPU.
CHUNK_TOKENS_MAX = 128
CHUNK_TOKENS_MIN = 16  # below, reading the weights costs more than the tokens
# One token alone goes through other code of ggml than several do, and may be rounded otherwise.
ALONE = 1
TARGET_S = 0.1
_WEIGHT = 0.3  # of a new measurement: three or four chunks follow a machine that became busy


class ChunkSizer:
    """Learns seconds a token, and sizes chunks by it."""

    def __init__(self) -> None:
        self._token_s: float | None = None  # None: nothing was measured

    def learn(self, tokens: int, duration_s: float) -> None:
        """Take in how long a chunk took. Tiny ones tell of the weights, not of tokens."""
        if tokens < CHUNK_TOKENS_MIN or duration_s <= 0.0:
            return
        token_s = duration_s / tokens
        if self._token_s is not None:
            token_s = self._token_s + _WEIGHT * (token_s - self._token_s)
        self._token_s = token_s

    def size(self, remaining: int) -> int:
        """Return how many of ``remaining`` tokens (at least 1) to take now.

        Never so many that a single one is left, unless there are only two.
        """
        most = CHUNK_TOKENS_MIN
        if self._token_s is not None:
            most = int(TARGET_S / self._token_s)
        most = min(max(most, CHUNK_TOKENS_MIN), CHUNK_TOKENS_MAX)
        if remaining <= most:
            return remaining
        return most - 1 if remaining - most == ALONE else most
