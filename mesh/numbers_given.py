"""Numbers that a program gives, checked by name before a message is made of them.

protobuf refuses what does not fit a field, and says neither which one nor what would.
"""

from mesh.errors import InvalidRequest

UINT32_MAX = 2**32 - 1
UINT64_MAX = 2**64 - 1
DEADLINE_MS_MAX = UINT32_MAX  # as the message holds it: seven weeks


def whole(name: str, value: int, most: int = UINT32_MAX) -> int:
    """Return ``value``, which may be from 0 to ``most``.

    Raises:
        InvalidRequest: it is not.
    """
    if not 0 <= value <= most:
        raise InvalidRequest(f"{name} {value} is out of range", hint=f"give 0 to {most}")
    return value


def whole_or_none(name: str, value: int | None, most: int = UINT32_MAX) -> int | None:
    """As ``whole``; None, for one that was not given, stays so."""
    return None if value is None else whole(name, value, most)


def deadline_ms(timeout_s: float) -> int:
    """Return in milliseconds how long an answer may take, at least one.

    Raises:
        InvalidRequest: it is no number, or too long for a message.
    """
    if not timeout_s * 1000 <= DEADLINE_MS_MAX:  # not a number is not less, either
        most_s = DEADLINE_MS_MAX // 1000
        raise InvalidRequest(f"timeout_s {timeout_s} is out of range", hint=f"give 0 to {most_s}")
    return max(1, int(timeout_s * 1000))
