"""How many tokens an embedding model works on together. The agent foretells memory by it."""

# The longest text that most encoders take: who waits for a turn waits for no more than such a one.
BATCH_TOKENS = 512
# With their vectors a frame stays below a fifth of its limit; llama.cpp allows 256.
BATCH_TEXTS = 32
# Of attention's scores: contexts of some 2,000 tokens, for the usual 12 to 16 heads.
SCORES_BYTES_MAX = 256 << 20
