"""The tools whose models are found on a machine, in words for people."""

from collections.abc import Iterable

OLLAMA = "Ollama"
LM_STUDIO = "LM Studio"
HUGGING_FACE = "Hugging Face"
LLAMA_CPP = "llama.cpp"

# Their engines may know architectures, or kinds of weights, that our llama.cpp does not.
_WITH_ENGINES = (OLLAMA, LM_STUDIO)


def left_to(origins: Iterable[str]) -> str:
    """Return who can serve what our engine can't, and what to do about it; "" if nobody can."""
    own = next((origin for origin in origins if origin in _WITH_ENGINES), "")
    return f"{own} itself may: start it, and it is adopted" if own else ""
