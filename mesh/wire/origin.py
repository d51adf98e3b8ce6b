"""Who or what began a request, as the client tells it: words for the ledger and for rules."""

from mesh.core.asked import Origin
from mesh.errors import InvalidRequest
from mesh.v1 import inference_pb2 as inference

NAME_CHARACTERS_MAX = 64  # of a team, a task, a tag, a domain: they stand in tables and in rules
TAGS_MAX = 16

_INITIATORS = {
    inference.Origin.INITIATOR_UNSPECIFIED: "",
    inference.Origin.INITIATOR_HUMAN: "human",
    inference.Origin.INITIATOR_AGENT: "agent",
    inference.Origin.INITIATOR_EVENT: "event",
}


def read_origin(message: inference.Origin) -> Origin:
    """Check and return it.

    Raises:
        InvalidRequest: a name is too long or not printable, or there are too many tags.
    """
    if len(message.tags) > TAGS_MAX:
        raise InvalidRequest(f"origin has {len(message.tags)} tags; at most {TAGS_MAX} are allowed")
    names = {"team": message.team, "task_id": message.task_id}
    for name, value in (*names.items(), *(("tags", each) for each in message.tags)):
        check_name(f"origin.{name}", value)
    return Origin(
        initiator=_INITIATORS.get(message.initiator, ""),  # of a newer client: as if untold
        team=message.team,
        task=message.task_id,
        tags=tuple(message.tags),
    )


def write_origin(origin: Origin) -> inference.Origin:
    """Write it for a client.

    Raises:
        InvalidRequest: nobody of that name begins requests.
    """
    known = {name: value for value, name in _INITIATORS.items()}
    if origin.initiator not in known:
        raise InvalidRequest(
            f"initiator {origin.initiator[:40]!r} is unknown",
            hint=f"use {', '.join(filter(None, known))}",
        )
    return inference.Origin(
        initiator=known[origin.initiator],
        team=origin.team,
        task_id=origin.task,
        tags=origin.tags,
    )


def check_name(field: str, value: str, characters_max: int = NAME_CHARACTERS_MAX) -> None:
    """Check a word that stands in tables, in a person's terminal too.

    Raises:
        InvalidRequest: it is too long, or has line ends or control characters.
    """
    if len(value) > characters_max:
        raise InvalidRequest(f"{field} is longer than {characters_max} characters")
    if value and not value.isprintable():
        raise InvalidRequest(f"{field} has characters that can't be printed")
