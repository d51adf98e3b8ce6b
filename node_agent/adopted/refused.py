"""What an adopted engine's refusals and failures mean here, told in the engine's name."""

import httpx2

from mesh.chat_api.refusals import is_beyond_it, refusal_of
from mesh.chat_api.transport_failures import meant
from mesh.errors import (
    ContextOverflow,
    InvalidRequest,
    MeshError,
    NodeLost,
    Overloaded,
    Unsupported,
)

# It is busy, or loading: it did nothing, and says that it may later.
BUSY = frozenset({429, 503})
GONE = 404
RETRY_AFTER_DEFAULT_S = 1.0
RETRY_AFTER_MAX_S = 30.0  # longer, and it is asked again anyway: it may have been a guess of its

_UPSTREAM = "the upstream"  # as what reads chat APIs calls whoever answers


def refused(status: int, body: bytes, engine: str, model: str) -> MeshError:
    """Return what an answer with ``status`` means for whoever asked."""
    if status in BUSY:
        return Overloaded(f"{engine} takes no more of {model} now ({status})", hint="ask again")
    if status == GONE:
        return NodeLost(f"{engine} no longer has {model} ({status})", hint="ask again")
    if status in (401, 403):
        return NodeLost(
            f"{engine} wants a key ({status})",
            hint="name the variable that holds it in node.engine_keys",
        )
    if status == 501 or is_beyond_it(status, body):
        return Unsupported(f"{engine} cannot do this with {model} ({status})")
    return in_its_name(refusal_of(status, body), engine)


def in_its_name(failure: MeshError | httpx2.HTTPError, engine: str) -> MeshError:
    """Say of the engine what was said of an upstream, in the kinds of failure that a node knows."""
    failure = meant(failure)
    message = failure.message.replace(_UPSTREAM, engine)
    hint = failure.hint if _UPSTREAM not in failure.hint and "operator" not in failure.hint else ""
    known = (ContextOverflow, InvalidRequest, Overloaded, Unsupported, NodeLost)
    kind = next((each for each in known if isinstance(failure, each)), NodeLost)
    return kind(message, hint=hint)
