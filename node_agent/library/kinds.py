"""What a whole file is that gives no model to serve. Light: the reader child imports it."""

from enum import StrEnum


class Kind(StrEnum):
    """Where more can be said of a file than the reason why it is not served."""

    OTHER = ""
    PROJECTOR = "projector"  # belongs to a model
    ADAPTER = "adapter"
    UNKNOWN_ARCHITECTURE = "unknown architecture"  # to our llama.cpp; another engine may know it
