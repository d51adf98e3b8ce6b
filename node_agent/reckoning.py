"""What a model's process took, against what was foretold of it. Pure.

A measurement is a lower bound: buffers are touched as they are used, and the longest prompt comes
last. So more than was foretold is believed at once, and less only once the model has answered, and
then as if all of its buffers for computing were still untouched.
"""

from node_agent.memory import in_words

TOLD_PERCENT = 10.0  # off by more is the owner's to know
OFF_MIN, OFF_MAX = 0.5, 2.0  # a measurement of something else must not rule the machine out


def corrected(off: float, *, foretold_bytes: int, untouched_bytes: int, taken_bytes: int) -> float:
    """Return by what to multiply what is foretold next time.

    Args:
        off: by what it is now.
        foretold_bytes: what the process was to take for its own, uncorrected.
        untouched_bytes: how much of that it may not have touched yet; all that is foretold while
            it has not answered.
        taken_bytes: what it has.
    """
    least = taken_bytes / foretold_bytes
    most = (taken_bytes + untouched_bytes) / foretold_bytes
    wanted = least if off < least else min(off, max(most, least))
    return min(OFF_MAX, max(OFF_MIN, wanted))


def words(*, total_bytes: int, off_bytes: int) -> str:
    """Return a line for the owner, "" where it is not worth one.

    Args:
        total_bytes: what was foretold of everything.
        off_bytes: how much more, or less, it comes to be.
    """
    if abs(off_bytes) * 100 <= TOLD_PERCENT * total_bytes:
        return ""
    more = "more" if off_bytes > 0 else "less"
    return (
        f"takes {in_words(abs(off_bytes))} {more} memory than the {in_words(total_bytes)} that were"
        " foretold; it is counted like that from now on"
    )
