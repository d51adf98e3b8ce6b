"""``deskmesh ledger explain``: why a recent request went where it did."""

import asyncio
from typing import Annotated

import typer

from mesh.cli.operations import CALL_WITHIN_S, calling
from mesh.cli.output import console, print_json, seconds
from mesh.cli.receipt import explain
from mesh.v1 import operations_pb2 as operations
from mesh.wire.plain import to_plain
from mesh.wire.requests import NAME_CHARACTERS_MAX
from mesh.wire.text import printable

HTTP_PREFIX = "chatcmpl-"  # an answer over HTTP has the request's id behind it


def register(ledger: typer.Typer) -> None:
    ledger.command("explain")(explain_request)


def explain_request(
    request_id: Annotated[
        str, typer.Argument(help="Its id, or how it begins; empty: the newest request.")
    ] = "",
    who: Annotated[str, typer.Option(help="Whose, where several use the same id.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with every field.")] = False,
) -> None:
    """Say of a recent request which machines could serve it, which not, and why.

    It need not have asked for it, and may still be running. The last 256 that ended are kept, until
    the coordinator stops.
    """
    request = operations.ExplainRequestRequest(
        request_id=request_id.removeprefix(HTTP_PREFIX), principal=who
    )
    found = asyncio.run(_explained(request))
    if as_json:
        print_json(to_plain(found))
    else:
        show(found)


def show(found: operations.ExplainRequestResponse) -> None:
    """Print what is known of a request, for people."""
    receipt = found.receipt
    ended = found.failure.replace("_", " ") or found.state
    model = printable(receipt.asked_model, NAME_CHARACTERS_MAX) or "auto"
    asked = f"{model} (policy {receipt.policy})"
    console.print(
        f"request {receipt.request_id} of {found.principal}: {ended}, asked for {asked} "
        f"{seconds(found.arrived_ago_s)} ago"
    )
    explain(receipt, console)


async def _explained(
    request: operations.ExplainRequestRequest,
) -> operations.ExplainRequestResponse:
    async with calling() as stub:
        found: operations.ExplainRequestResponse = await stub.ExplainRequest(
            request, timeout=CALL_WITHIN_S
        )
        return found
