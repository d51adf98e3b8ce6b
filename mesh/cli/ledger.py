"""``deskmesh ledger``: what was asked, where it was answered, and what it cost."""

import asyncio
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from mesh.cli import explaining
from mesh.cli.narrow import fitting
from mesh.cli.operations import CALL_WITHIN_S, calling
from mesh.cli.output import console, count, errors, money, number_of, print_json, seconds
from mesh.v1 import inference_pb2 as inference
from mesh.v1 import operations_pb2 as operations
from mesh.wire import enums
from mesh.wire.plain import to_plain
from mesh.wire.requests import NAME_CHARACTERS_MAX
from mesh.wire.text import printable

ROWS_MAX = 1000  # that a coordinator gives at once
WHO_CHARACTERS = 12  # of a fingerprint: enough to tell people apart; --json has all
ID_CHARACTERS = 8  # of a request's: as many as tell recent ones apart, for `ledger explain`
SINCE = "Say 30m, 24h, 7d or 4w (ago), or 2026-01-31 or 2026-01-31T18:00 (local time)."

_AGO = re.compile(r"(\d{1,6})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

app = typer.Typer(help="What was asked, and what it cost.", no_args_is_help=True)


class State(StrEnum):
    """How a request can have ended."""

    ANSWERED = "answered"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"


_STYLES = {"answered": "green", "failed": "red", "cancelled": "yellow", "lost": "red"}


def register(parent: typer.Typer) -> None:
    explaining.register(app)
    parent.add_typer(app, name="ledger")


@app.callback()
def ledger() -> None:
    """What was asked, where it was answered, and what it cost; never the words."""


@app.command("summary")
def summary(
    since: Annotated[str, typer.Option(help=f"{SINCE} Empty: today, UTC.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show how many requests there were, who answered them, and what it cost."""
    request = operations.LedgerSummaryRequest(since_s=moment(since))
    found = asyncio.run(_summary(request))
    if as_json:
        print_json(to_plain(found))
    else:
        _show_summary(found)


@app.command("requests")
def requests(
    since: Annotated[str, typer.Option(help=f"{SINCE} Empty: all that is kept.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=ROWS_MAX, help="At most so many.")] = 50,
    state: Annotated[State | None, typer.Option(help="Only those that ended so.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with every field.")] = False,
) -> None:
    """List single requests, the newest first."""
    request = operations.LedgerRequestsRequest(
        since_s=moment(since), limit=limit, state=state.value if state else ""
    )
    found = asyncio.run(_requests(request))
    if as_json:
        print_json(to_plain(found))
    elif found.requests:
        _show_requests(found.requests)
    else:
        console.print("no such requests")


def moment(since: str, now: datetime | None = None) -> float:
    """Return the Unix time that ``since`` says; 0 for none.

    Raises:
        typer.BadParameter: it is no time.
    """
    if not since:
        return 0.0
    now = now or datetime.now(UTC)
    try:
        if ago := _AGO.fullmatch(since):
            return (now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})).timestamp()
        return max(0.0, datetime.fromisoformat(since).timestamp())
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"{since[:40]!r} is no time. {SINCE}", param_hint="--since"
        ) from None


async def _summary(request: operations.LedgerSummaryRequest) -> operations.LedgerSummary:
    async with calling() as stub:
        found: operations.LedgerSummary = await stub.GetLedgerSummary(
            request, timeout=CALL_WITHIN_S
        )
        return found


async def _requests(request: operations.LedgerRequestsRequest) -> operations.LedgerRequestsResponse:
    async with calling() as stub:
        found: operations.LedgerRequestsResponse = await stub.ListLedgerRequests(
            request, timeout=CALL_WITHIN_S
        )
        return found


def _show_summary(found: operations.LedgerSummary) -> None:
    began = datetime.fromtimestamp(found.since_s, UTC)
    ended = ", ".join(f"{getattr(found, state.value)} {state.value}" for state in State)
    asked = number_of(found.requests, "request")
    console.print(f"since {began:%Y-%m-%d %H:%M} UTC: {asked} ({ended})")
    console.print(
        f"{count(found.prompt_tokens)} tokens in, {count(found.completion_tokens)} out, "
        f"{money(found.cost_microusd) if found.cost_microusd else 'nothing'} spent"
    )
    for title, shares in (("answered by", found.places), ("with", found.models)):
        if shares:
            console.print(fitting(_shares(title, shares, found.answered), console))
    if found.failures:
        reasons = ", ".join(
            f"{each.name.replace('_', ' ')} {each.requests}" for each in found.failures
        )
        console.print(f"not answered: {reasons}")
    if found.trouble:
        errors.print(
            f"the ledger waits: {found.trouble}; {found.rows_waiting} of its records are not in it "
            "yet and follow",
            style="yellow",
        )
    if found.records_lost:
        errors.print(
            f"{found.records_lost} records found no place and are lost; the coordinator's log says "
            "when",
            style="red",
        )


def _shares(title: str, shares: Sequence[operations.LedgerShare], answered: int) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column(title, overflow="fold")
    table.add_column("tier")
    for column in ("requests", "share", "tokens in", "out", "cost"):
        table.add_column(column, justify="right")
    for each in shares:
        table.add_row(
            each.name,
            _tier(each.tier),
            str(each.requests),
            f"{each.requests / max(1, answered):.0%}",
            count(each.prompt_tokens),
            count(each.completion_tokens),
            money(each.cost_microusd),
        )
    return table


def _show_requests(found: Sequence[operations.LedgerRequest]) -> None:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("arrived", no_wrap=True)
    table.add_column("id", no_wrap=True)
    for column in ("who", "asked for", "ended", "answered by"):
        table.add_column(column, overflow="fold")
    table.add_column("tier", no_wrap=True)
    for column in ("tokens", "took", "cost"):
        table.add_column(column, justify="right", no_wrap=True)
    for each in found:
        table.add_row(
            _when(each.arrived_at_s),
            each.request_id[:ID_CHARACTERS],
            each.principal[:WHO_CHARACTERS],
            printable(each.asked_model, NAME_CHARACTERS_MAX),
            Text(each.failure.replace("_", " ") or each.state, _STYLES.get(each.state, "default")),
            f"{each.served_model} on {each.place}" if each.place else "-",
            _tier(each.tier) if each.place else "-",
            f"{each.usage.prompt_tokens}+{each.usage.completion_tokens}" if each.place else "-",
            seconds(each.total_s),
            money(each.cost_microusd),
        )
    console.print(fitting(table, console))


def _when(moment_s: float) -> str:
    """Local time: of today by the second, of other days by the minute."""
    when, now = datetime.fromtimestamp(moment_s).astimezone(), datetime.now().astimezone()
    if when.date() == now.date():
        return f"{when:%H:%M:%S}"
    return f"{when:%m-%d %H:%M}" if when.year == now.year else f"{when:%Y-%m-%d %H:%M}"


def _tier(tier: inference.Tier) -> str:
    known = enums.TIER.get(tier)
    return known.name.lower() if known is not None else "-"
