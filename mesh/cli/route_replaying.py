"""``deskmesh route replay``: what recorded requests would have cost under another policy."""

import asyncio
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from mesh.cli.ledger import SINCE, moment
from mesh.cli.operations import CALL_WITHIN_S, calling
from mesh.cli.output import console, money, print_json
from mesh.v1 import operations_pb2 as operations
from mesh.wire.plain import to_plain

MODELS_SHOWN = 4


def register(group: typer.Typer) -> None:
    group.command("replay")(replay)


def replay(
    policy: Annotated[str, typer.Option(help="The policy to decide by.")],
    since: Annotated[str, typer.Option(help=f"{SINCE} Empty: all that is kept.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with every field.")] = False,
) -> None:
    """Decide recorded requests anew under another policy: cost and expected quality side by side.

    Only what the ladder knew then is used, no prompt: the ledger has none. The rules of then count.
    """
    request = operations.ReplayRoutesRequest(policy=policy, since_s=moment(since))
    found = asyncio.run(_replayed(request))
    if as_json:
        print_json(to_plain(found))
    else:
        show(found, console)


def show(found: operations.ReplayRoutesResponse, console: Console) -> None:
    """Print both sides, for people."""
    if not found.requests:
        left = f"; nothing may answer {found.left_out:,}" if found.left_out else ""
        console.print(f"no recorded request climbed a ladder since then{left}")
        return
    table = Table(box=None, pad_edge=False)
    for title in ("", "recorded", f"under {found.policy}"):
        table.add_column(title, justify="right" if title else "left")
    sides = (found.recorded, found.replayed)
    table.add_row("expected cost", *(money(round(each.expected_cost_microusd)) for each in sides))
    table.add_row("expected right", *(f"{each.expected_quality:.1%}" for each in sides))
    table.add_row("reach the cloud", *(f"{each.cloud_share:.1%}" for each in sides))
    table.add_row("begin on", *(_begun(each) for each in sides))
    console.print(table)
    console.print(
        f"{found.requests:,} requests, {found.other_first:,} would begin elsewhere; "
        f"{money(found.paid_microusd)} were paid"
    )
    if found.judged:
        console.print(f"{found.judged:,} were judged, {found.judged_score:.1%} on average")
    if found.left_out:
        console.print(f"left out: {found.left_out:,} that nothing may answer under {found.policy}")


def _begun(totals: operations.RouteTotals) -> str:
    shown = [f"{each.model_name} {each.requests:,}" for each in totals.first[:MODELS_SHOWN]]
    return ", ".join(shown)


async def _replayed(
    request: operations.ReplayRoutesRequest,
) -> operations.ReplayRoutesResponse:
    async with calling() as stub:
        found: operations.ReplayRoutesResponse = await stub.ReplayRoutes(
            request, timeout=CALL_WITHIN_S
        )
        return found
