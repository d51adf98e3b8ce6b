"""How sure a model was of what it said, token by token, from the candidates for each draw.

A model's own probabilities need a softmax over all it knows, 152,000 words in many models, for each
token. Whether it hesitated shows in its likeliest few alone, and to find those costs much less.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import exp, isfinite
from struct import Struct

# As many as are renormalised. What lies beyond the tenth adds little that the first four don't
# tell, and a number that no request's own top_k changes keeps signs of all requests comparable.
CANDIDATES = 10
TOP = 4  # of those, told: who is sure has one, who hesitates has two, who is lost has more
NEAR = 1e-3  # a log-probability that was rounded on its way is still the same one
LOGPROB_MIN = -100.0  # engines write -inf, or -9999, for what can't be

_PACKED = Struct(">4HB")
SIGN_BYTES = _PACKED.size
# Stands for 1. A byte would call 0.998 and 0.9999 the same; and with a power of two nothing is lost
# by packing what was unpacked, which an agent does.
_WHOLE = 2**15


@dataclass(frozen=True, slots=True)
class TokenSign:
    """How a model's own belief was spread before one token was drawn.

    By its logits as they are, at temperature 1: before penalties, biases, forms and filters, and
    whatever the temperature of the draw is. So one model's signs mean the same in all requests.
    """

    top: tuple[float, ...]  # the likeliest candidates' probabilities among all, highest first
    rank: int = 0  # of the token said: how many candidates were likelier; ``CANDIDATES``: all

    @classmethod
    def of_logprobs(cls, logprobs: Sequence[float], said: float | None = None) -> "TokenSign":
        """Return what a node would have told of a token with these natural log-probabilities.

        Renormalised over the likeliest ``CANDIDATES``. A single one has nothing to be compared
        with: what it lacks to 1 counts as the next one.

        Args:
            said: that of the token that was said; None: the likeliest was.
        """
        likeliest = sorted(map(_bounded, logprobs), reverse=True)[:CANDIDATES]
        if not likeliest:
            return cls(())
        if len(likeliest) == 1:
            alone = exp(min(0.0, likeliest[0]))
            shares = [max(alone, 1.0 - alone), min(alone, 1.0 - alone)]
        else:
            weights = [exp(each - likeliest[0]) for each in likeliest]
            shares = [weight / sum(weights) for weight in weights]
        likelier = 0 if said is None else sum(each > said + NEAR for each in likeliest)
        return cls(tuple(int(share * _WHOLE) / _WHOLE for share in shares[:TOP]), likelier)


def pack_signs(signs: Iterable[TokenSign]) -> bytes:
    """Return ``SIGN_BYTES`` for each: the first ``TOP`` shares, rounded down, and the rank."""
    return b"".join(_packed(each) for each in signs)


def unpack_signs(packed: bytes, count: int) -> tuple[TokenSign, ...] | None:
    """Return the signs of ``count`` tokens, or none if there are none; None: it is no such thing.

    What comes back is what it says it is: shares of one whole, the highest first, and a rank.
    """
    if not packed:
        return ()
    if len(packed) != count * SIGN_BYTES:
        return None
    signs = []
    for one, two, three, four, rank in _PACKED.iter_unpack(packed):
        if not one >= two >= three >= four or one + two + three + four > _WHOLE:
            return None
        if rank > CANDIDATES:
            return None
        signs.append(TokenSign((one / _WHOLE, two / _WHOLE, three / _WHOLE, four / _WHOLE), rank))
    return tuple(signs)


def _bounded(logprob: float) -> float:
    return max(LOGPROB_MIN, logprob) if isfinite(logprob) else LOGPROB_MIN


def _packed(sign: TokenSign) -> bytes:
    parts = [int(share * _WHOLE) for share in sign.top[:TOP]]
    return _PACKED.pack(*parts, *(TOP - len(parts)) * (0,), sign.rank)
