"""What an engine refuses before it begins: values that no model could work with."""

import math
from collections.abc import Sequence

from mesh.core.embedding import INPUTS_MAX
from mesh.core.generation import LOGPROBS_MAX, Generation, Sampling
from mesh.errors import InvalidRequest

# Each token is compared with each stop string, so their number and length cost time.
_STOP_STRINGS_MAX = 64
_STOP_CHARACTERS_MAX = 1024
_PENALTY_MAX = 100.0  # beyond +-2 a penalty already forbids; this only keeps floats in range
_TEMPERATURE_MAX = 100.0
_TOP_K_MAX = 2**31 - 1  # llama.cpp's type


def refuse_invalid(work: Generation) -> None:
    """Check every number and string of ``work``.

    Raises:
        InvalidRequest: names the first field that is out of range, without its text.
    """
    if not work.messages:
        raise InvalidRequest("there is no message", hint="send at least one")
    if work.max_tokens < 1:
        raise InvalidRequest(f"max_tokens is {work.max_tokens}", hint="ask for at least 1")
    if work.logprobs is not None:
        _check("logprobs", work.logprobs, 0, LOGPROBS_MAX)
    _check_stop(work.stop)
    _check_sampling(work.sampling)
    for text in (*work.stop, *(message.text for message in work.messages)):
        if not text.isascii() and not _is_unicode(text):
            raise InvalidRequest("a text is not valid Unicode", hint="send UTF-8")


def refuse_invalid_texts(texts: Sequence[str]) -> None:
    """Check what is to be embedded.

    Raises:
        InvalidRequest: names the first text that can't be, without its words.
    """
    if not 1 <= len(texts) <= INPUTS_MAX:
        raise InvalidRequest(
            f"there are {len(texts)} texts to embed", hint=f"send 1 to {INPUTS_MAX}"
        )
    for index, text in enumerate(texts):
        if not text or text.isspace():
            raise InvalidRequest(f"inputs[{index}] is empty", hint="leave empty texts out")
        if not text.isascii() and not _is_unicode(text):
            raise InvalidRequest(f"inputs[{index}] is not valid Unicode", hint="send UTF-8")


def _check_stop(stop: tuple[str, ...]) -> None:
    if len(stop) > _STOP_STRINGS_MAX:
        raise InvalidRequest(
            f"there are {len(stop)} stop strings", hint=f"send at most {_STOP_STRINGS_MAX}"
        )
    if not all(1 <= len(text) <= _STOP_CHARACTERS_MAX for text in stop):
        raise InvalidRequest(
            "a stop string is empty or too long",
            hint=f"each may have 1 to {_STOP_CHARACTERS_MAX} characters",
        )


def _check_sampling(sampling: Sampling) -> None:
    _check("temperature", sampling.temperature, 0, _TEMPERATURE_MAX)
    _check("top_k", sampling.top_k, 0, _TOP_K_MAX)
    _check("top_p", sampling.top_p, 0, 1)
    _check("min_p", sampling.min_p, 0, 1)
    _check("repeat_penalty", sampling.repeat_penalty, 0.01, _PENALTY_MAX)  # it divides
    _check("presence_penalty", sampling.presence_penalty, -_PENALTY_MAX, _PENALTY_MAX)
    _check("frequency_penalty", sampling.frequency_penalty, -_PENALTY_MAX, _PENALTY_MAX)
    _check("seed", sampling.seed, 0, 2**64 - 1)


def _check(name: str, value: float, least: float, most: float) -> None:
    if math.isnan(value) or not least <= value <= most:
        raise InvalidRequest(
            f"{name} is {value}", hint=f"choose a value from {least:g} to {most:g}"
        )


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
