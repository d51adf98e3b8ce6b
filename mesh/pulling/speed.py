"""How fast a model would answer on a processor, before a byte of it is here. Pure.

One token needs every active weight once, and a processor computes on them faster than its memory
gives them: so what decides is how many bytes of weights memory gives in a second (S. Williams et
al., Roofline, CACM 52(4), 2009; llama.cpp's own figures follow it). Of a mixture of experts a token
reads few. Processors with little beside their memory fall behind with small quantisations, and
long prompts and contexts cost more: this is the speed of a short answer, within a factor of two.
"""

# Of what memory gives to plain reading, what decoding gets: 0.84 with Q8_0 and 0.46 with Q4_0,
# measured with llama.cpp on two shared cores and 0.5 billion weights.
DECODING_SHARE = 0.6
# Who reads along is not kept waiting: adults read 238 words of English a minute (M. Brysbaert,
# Journal of Memory and Language 109, 2019), of about 0.75 words a token: 5.3 tokens a second.
USABLE_TOKENS_PER_S = 5.0


def tokens_per_s(active_bytes: float, read_bytes_per_s: float) -> float:
    """Return how many tokens a second a model writes, about.

    Args:
        active_bytes: of weights that one token needs.
        read_bytes_per_s: that the machine's memory gives to all cores together.
    """
    return DECODING_SHARE * read_bytes_per_s / active_bytes


def is_usable(speed: float | None) -> bool:
    """Whether answers come as fast as they are read; where nobody knows it is not held against."""
    return speed is None or speed >= USABLE_TOKENS_PER_S


def speed_in_words(speed: float) -> str:
    """Return tokens a second as people read it."""
    if speed < 1:
        return "less than a token a second"
    return f"about {speed:.0f} token{'' if round(speed) == 1 else 's'} a second"
