"""What a client may decide beside OpenAI's parameters, by ``x-deskmesh-*`` request headers.

OpenAI's body has no place for them, and a header can be set once in a tool's configuration.
"""

import math
import uuid
from dataclasses import dataclass, field
from typing import NoReturn

from starlette.datastructures import Headers
from starlette.types import Scope

from mesh.core.asked import Origin
from mesh.core.policies import POLICY_NAME
from mesh.door.failures import Refused
from mesh.errors import InvalidRequest
from mesh.v1 import inference_pb2 as inference
from mesh.wire.origin import NAME_CHARACTERS_MAX, write_origin
from mesh.wire.requests import DEADLINE_MAX_S, REQUEST_ID, SESSION_CHARACTERS_MAX

PREFIX = "x-deskmesh-"
KNOWN = (
    *("tier", "policy", "session", "request-id", "timeout-s"),
    *("domain", "initiator", "team", "task", "tags", "accept-substitute"),
)

_TIERS = {
    "device": inference.TIER_DEVICE,
    "mesh": inference.TIER_MESH,
    "cloud": inference.TIER_CLOUD,
}


@dataclass(frozen=True, slots=True)
class AskedHeaders:
    """The mesh's own parameters; what was not given is the mesh's to decide."""

    request_id: str
    tier: inference.Tier = inference.TIER_UNSPECIFIED
    policy: str = ""
    session: str = ""
    deadline_ms: int = 0
    domain: str = ""
    origin: inference.Origin = field(default_factory=inference.Origin)
    accept_substitute: bool = False


def read_headers(scope: Scope) -> AskedHeaders:
    """Read a request's headers.

    Raises:
        Refused: one is unknown, given twice, or has no such value. A misspelt name is refused as
            well: whoever writes ``x-deskmesh-teir: device`` must not find out later.
    """
    headers = Headers(scope=scope)
    ours = [name for name in headers if name.startswith(PREFIX)]
    for name in ours:
        if name.removeprefix(PREFIX) not in KNOWN:
            known = ", ".join(f"{PREFIX}{each}" for each in KNOWN)
            raise _refused("a header of the mesh is unknown", name[:64], hint=f"use {known}")
    if len(set(ours)) < len(ours):
        raise _refused("a header of the mesh is given twice", PREFIX)
    return AskedHeaders(
        request_id=_request_id(headers),
        tier=_tier(headers),
        policy=_policy(headers),
        session=_session(headers),
        deadline_ms=_deadline_ms(headers),
        domain=_name(headers, "domain"),
        origin=_origin(headers),
        accept_substitute=_yes(headers, "accept-substitute"),
    )


def _origin(headers: Headers) -> inference.Origin:
    """Who or what began the request. Tags stand side by side, parted by commas."""
    tags = [tag for each in headers.get(f"{PREFIX}tags", "").split(",") if (tag := each.strip())]
    initiator = headers.get(f"{PREFIX}initiator", "")
    team, task = _name(headers, "team"), _name(headers, "task")
    try:
        return write_origin(Origin(initiator, team, task, tuple(tags)))
    except InvalidRequest:
        _bad(f"{PREFIX}initiator", "one of human, agent, event")


def _name(headers: Headers, name: str) -> str:
    given = headers.get(f"{PREFIX}{name}", "")
    if len(given) > NAME_CHARACTERS_MAX or not given.isprintable():
        _bad(f"{PREFIX}{name}", f"at most {NAME_CHARACTERS_MAX} printable characters")
    return given


def _yes(headers: Headers, name: str) -> bool:
    given = headers.get(f"{PREFIX}{name}", "false")
    if given not in ("true", "false"):
        _bad(f"{PREFIX}{name}", "true or false")
    return given == "true"


def _request_id(headers: Headers) -> str:
    for name in (f"{PREFIX}request-id", "x-request-id"):
        given = headers.get(name)
        if given is not None:
            if not REQUEST_ID.fullmatch(given):
                _bad(name, "1 to 64 characters of [A-Za-z0-9._:-], new for each request")
            return given
    return uuid.uuid4().hex


def _tier(headers: Headers) -> inference.Tier:
    given = headers.get(f"{PREFIX}tier")
    if given is None:
        return inference.TIER_UNSPECIFIED
    if given not in _TIERS:
        _bad(f"{PREFIX}tier", f"one of {', '.join(_TIERS)}")
    return _TIERS[given]


def _policy(headers: Headers) -> str:
    given = headers.get(f"{PREFIX}policy", "")
    if given and not POLICY_NAME.fullmatch(given):  # the coordinator knows which there are
        _bad(f"{PREFIX}policy", "a policy's name, such as balanced or fast")
    return given


def _session(headers: Headers) -> str:
    given = headers.get(f"{PREFIX}session", "")
    if len(given) > SESSION_CHARACTERS_MAX or not given.isprintable():
        _bad(f"{PREFIX}session", f"at most {SESSION_CHARACTERS_MAX} printable characters")
    return given


def _deadline_ms(headers: Headers) -> int:
    given = headers.get(f"{PREFIX}timeout-s")
    if given is None:
        return 0
    try:
        timeout_s = float(given)
    except ValueError:
        timeout_s = math.nan
    if not 0.001 <= timeout_s <= DEADLINE_MAX_S:
        _bad(f"{PREFIX}timeout-s", f"seconds, at least 0.001 and at most {DEADLINE_MAX_S:.0f}")
    return int(timeout_s * 1000)


def _bad(name: str, must: str) -> NoReturn:
    raise _refused(f"the header {name} must be {must}", name)


def _refused(message: str, name: str, *, hint: str = "") -> Refused:
    return Refused(message, hint=hint, param=name, code="invalid_header")
