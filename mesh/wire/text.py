"""Text from other machines, made fit for a terminal, a log line and a table."""

_JOINERS = "\u200c\u200d"  # invisible, but part of how several scripts are written


def printable(text: str, characters_max: int) -> str:
    """Return ``text`` cut to a length, without anything that could move a cursor or forge a line.

    Control characters and line ends become spaces: a node's words may reach a person's terminal.
    """
    text = text[:characters_max]  # first: it may have megabytes
    return "".join(each if each.isprintable() or each in _JOINERS else " " for each in text).strip()
