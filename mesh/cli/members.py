"""``deskmesh members`` and ``deskmesh revoke``: who is in the mesh, and who no longer is."""

import asyncio
import time
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.table import Table

from mesh.cli.operations import CALL_WITHIN_S, calling
from mesh.cli.output import console, print_json, seconds
from mesh.errors import InvalidRequest
from mesh.v1 import operations_pb2 as operations
from mesh.v1 import operations_pb2_grpc as operations_grpc

SHOWN_MAX = 5  # of those that have one name
SERIAL_CHARACTERS_MIN = 6  # of a fingerprint: 30 bits, so two of one mesh hardly ever share them


def register(app: typer.Typer) -> None:
    app.command("members")(members)
    app.command("revoke")(revoke)


def members(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List everyone who was let into the mesh, and who is no longer."""
    found = asyncio.run(_members())
    if as_json:
        print_json({"members": [_plain(each) for each in found]})
        return
    table = Table(box=None, pad_edge=False)
    for title in ("NAME", "ROLE", "SERIAL", "INVITED AS", "JOINED", "RENEWED", "STATE"):
        table.add_column(title)
    for each in found:
        state = f"revoked: {each.revoked_because}" if each.revoked_at_s else "member"
        times = (_ago(each.joined_at_s), _ago(each.renewed_at_s))
        who = (each.name or "-", each.role, each.fingerprint, each.invited_as or "-")
        table.add_row(*who, *times, state)
    console.print(table)


def revoke(
    member: Annotated[str, typer.Argument(help="Its name, or its serial: see `members`.")],
    reason: Annotated[str, typer.Option(help="Why, for your own memory.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Put a machine out of the mesh, at once and for good."""
    gone = asyncio.run(_revoke(member, reason))
    if as_json:
        print_json({"revoked": _plain(gone)})
    else:
        console.print(f"revoked {gone.role} {gone.name or '-'} ({gone.fingerprint})")


async def _members() -> Sequence[operations.MemberView]:
    async with calling() as stub:
        return await _listed(stub)


async def _revoke(wanted: str, reason: str) -> operations.MemberView:
    async with calling() as stub:
        serial = named(await _listed(stub), wanted).fingerprint
        request = operations.RevokeRequest(fingerprint=serial, reason=reason)
        await stub.Revoke(request, timeout=CALL_WITHIN_S)
        return named(await _listed(stub), serial)


async def _listed(stub: operations_grpc.OperationsStub) -> list[operations.MemberView]:
    """Return every member, a node by the name that it goes by now: its owner may change it."""
    request = operations.ListMembersRequest()
    found = list((await stub.ListMembers(request, timeout=CALL_WITHIN_S)).members)
    mesh = await stub.GetMesh(operations.GetMeshRequest(), timeout=CALL_WITHIN_S)
    names = {node.node_id: node.machine.name for node in mesh.nodes}
    for each in found:
        each.name = names.get(each.fingerprint) or each.name
    return found


def named(found: Sequence[operations.MemberView], wanted: str) -> operations.MemberView:
    """Return the one member that ``wanted`` names; those who are still in go first.

    Raises:
        InvalidRequest: nobody is called so, or several are.
    """
    word = wanted.strip().lower()
    fits = [each for each in found if each.fingerprint == word]
    fits = fits or [each for each in found if each.name.lower() == word and word]
    if not fits and len(word) >= SERIAL_CHARACTERS_MIN:
        fits = [each for each in found if each.fingerprint.startswith(word)]
    fits = [each for each in fits if not each.revoked_at_s] or fits
    if not fits:
        raise InvalidRequest(f"no member is called {wanted[:64]!r}", hint="see `deskmesh members`")
    if len(fits) > 1:
        serials = ", ".join(f"{each.fingerprint} ({each.role})" for each in fits[:SHOWN_MAX])
        if len(fits) > SHOWN_MAX:
            serials += f" and {len(fits) - SHOWN_MAX} more: see `deskmesh members`"
        raise InvalidRequest(
            f"{len(fits)} members are called {wanted[:64]!r}", hint=f"name one by serial: {serials}"
        )
    return fits[0]


def _plain(member: operations.MemberView) -> dict[str, object]:
    return {
        "name": member.name,
        "role": member.role,
        "serial": member.fingerprint,
        "invited_as": member.invited_as,
        "joined_at_s": member.joined_at_s,
        "renewed_at_s": member.renewed_at_s,
        "revoked": bool(member.revoked_at_s),
        "revoked_at_s": member.revoked_at_s,
        "revoked_because": member.revoked_because,
    }


def _ago(moment_s: float) -> str:
    return f"{seconds(max(0.0, time.time() - moment_s))} ago"
