"""Log-probabilities of tokens, both ways, and a check of what a node says of them.

On the wire every id of a delta has one, whenever they were asked for.
"""

from collections.abc import Iterable

from mesh.core.generation import (
    LOGPROB_MIN,
    TOKEN_BYTES_MAX,
    Alternative,
    TokenLogprob,
)
from mesh.errors import InvalidRequest
from mesh.v1 import inference_pb2 as inference


def write_logprobs(told: Iterable[TokenLogprob]) -> list[inference.TokenLogprobs]:
    return [
        inference.TokenLogprobs(
            id=each.id,
            logprob=each.logprob,
            text=each.text,
            alternatives=[
                inference.TokenLogprobs.Alternative(id=one.id, logprob=one.logprob, text=one.text)
                for one in each.alternatives
            ],
        )
        for each in told
    ]


def read_logprobs(told: Iterable[inference.TokenLogprobs]) -> tuple[TokenLogprob, ...]:
    return tuple(
        TokenLogprob(
            each.id,
            each.logprob,
            each.text,
            tuple(Alternative(one.id, one.logprob, one.text) for one in each.alternatives),
        )
        for each in told
    )


def check_logprobs(delta: inference.GenerationDelta, request: inference.GenerateRequest) -> None:
    """Check what a node tells of its tokens: as much as was asked for, and nothing absurd.

    Raises:
        InvalidRequest: they are not one for each id that is told; or hold more alternatives than
            were asked for, longer tokens than there are, or no logarithm of a probability.
    """
    asked = request.HasField("logprobs")
    if delta.token_count and not delta.ids and asked:
        fits = len(delta.logprobs) <= delta.token_count  # an adopted engine tells what it likes
    else:
        fits = [each.id for each in delta.logprobs] == (list(delta.ids) if asked else [])
    if not fits:
        raise InvalidRequest("a node's log-probabilities are not those that were asked for")
    for each in delta.logprobs:
        if len(each.alternatives) > request.logprobs:
            raise InvalidRequest("a node tells more alternatives of a token than were asked for")
        _check(each.logprob, each.text)
        for one in each.alternatives:
            _check(one.logprob, one.text)


def _check(logprob: float, text: bytes) -> None:
    if not LOGPROB_MIN <= logprob <= 0:  # so NaN is none either
        raise InvalidRequest("a node sent a log-probability that is none")
    if len(text) > TOKEN_BYTES_MAX:
        raise InvalidRequest("a node sent a token that is longer than any")
