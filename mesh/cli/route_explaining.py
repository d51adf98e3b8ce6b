"""``deskmesh route explain`` and ``route check``: what rules do to a request, and whether they can.

Nothing is answered by either.
"""

import asyncio
import uuid
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mesh.cli.ask import prompt_of
from mesh.cli.operations import CALL_WITHIN_S, calling
from mesh.cli.output import console, money, number_of, print_json
from mesh.errors import InvalidRequest
from mesh.home import Home
from mesh.process import FAILED
from mesh.rules_file import load_rules
from mesh.v1 import inference_pb2 as inference
from mesh.v1 import operations_pb2 as operations
from mesh.wire.plain import to_plain

MICROUSD = 1_000_000


class Tier(StrEnum):
    """How far the prompt may travel."""

    DEVICE = "device"
    MESH = "mesh"
    CLOUD = "cloud"


class Initiator(StrEnum):
    """Who or what began it."""

    HUMAN = "human"
    AGENT = "agent"
    EVENT = "event"


_TIERS = {
    Tier.DEVICE: inference.TIER_DEVICE,
    Tier.MESH: inference.TIER_MESH,
    Tier.CLOUD: inference.TIER_CLOUD,
}
_INITIATORS = {
    Initiator.HUMAN: inference.Origin.INITIATOR_HUMAN,
    Initiator.AGENT: inference.Origin.INITIATOR_AGENT,
    Initiator.EVENT: inference.Origin.INITIATOR_EVENT,
}


def register(group: typer.Typer) -> None:
    group.command("explain")(explain_route)
    group.command("check")(check_rules)


def explain_route(  # noqa: PLR0913, PLR0917 - each is an option of the command
    prompt: Annotated[
        str | None, typer.Argument(help="What would be asked; - reads it from stdin.")
    ] = None,
    model: Annotated[str, typer.Option("--model", "-m", help="A name; auto chooses.")] = "auto",
    tier: Annotated[Tier | None, typer.Option(help="How far the prompt may travel.")] = None,
    policy: Annotated[str, typer.Option(help="As of `deskmesh ask`.")] = "",
    team: Annotated[str, typer.Option(help="Whose request it is.")] = "",
    task: Annotated[str, typer.Option(help="The id of the task that it is of.")] = "",
    tag: Annotated[list[str] | None, typer.Option(help="May be repeated.")] = None,
    initiator: Annotated[Initiator | None, typer.Option(help="Who began it.")] = None,
    domain: Annotated[str, typer.Option(help="What it is about, such as security.")] = "",
    tool: Annotated[
        list[str] | None, typer.Option(help="A tool that it may call; may be repeated.")
    ] = None,
    max_tokens: Annotated[int, typer.Option(min=0, help="0: until the model ends.")] = 0,
    max_cost_usd: Annotated[float, typer.Option(min=0, help="0: the budget's.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with every field.")] = False,
) -> None:
    """Say which rule would do what to a request, which rungs it has, and which would answer.

    Nothing is answered, and nothing leaves the coordinator. The request is this machine's: rules
    that look at other keys do not match it.
    """
    text = prompt_of(prompt)
    message = inference.Message(role=inference.ROLE_USER, parts=[inference.Part(text=text)])
    request = inference.GenerateRequest(
        request_id=f"explain-{uuid.uuid4().hex}",
        model=model,
        messages=[message],
        tier=_TIERS[tier] if tier else inference.TIER_UNSPECIFIED,
        policy=policy,
        origin=inference.Origin(
            initiator=_INITIATORS[initiator] if initiator else None,
            team=team,
            task_id=task,
            tags=tag or (),
        ),
        domain=domain,
        tools=[inference.Tool(name=name) for name in tool or ()],
        max_tokens=max_tokens,
        cost_microusd_max=round(max_cost_usd * MICROUSD),
    )
    found = asyncio.run(_explained(request))
    if as_json:
        print_json(to_plain(found))
    else:
        show(found, console)
    if found.refused:
        raise typer.Exit(FAILED)


def check_rules(
    file: Annotated[
        Path | None, typer.Argument(help="A file of rules; none: rules.toml of this machine.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Read a file of rules as a coordinator would at its start, and say what is wrong with it."""
    read = file or Home.find().rules_file
    if file is not None and not file.exists():
        raise InvalidRequest(f"there is no file {file}")
    rules = load_rules(read).rules
    if as_json:
        print_json({"file": str(read), "rules": [rule.name for rule in rules]})
    else:
        console.print(Text(f"{read}: {number_of(len(rules), 'rule')}"))


def show(found: operations.RouteExplanation, console: Console) -> None:
    """Print which rules matched, the rungs in their order, and what would happen, for people."""
    if found.rules_known:
        matched = len({each.rule for each in found.rules})
        console.print(f"rules: {matched} of {found.rules_known} match")
    for rule in found.rules:
        models = f": {', '.join(rule.model_names)}" if rule.model_names else ""
        console.print(Text(f"  {rule.rule} {rule.words}{models}"))
    if found.ladder:
        console.print(_rungs(found))
    if found.refused:
        console.print(Text(f"refused: {found.refused}"))
        return
    chosen = next((each.model_name for each in found.ladder if each.chosen), "")
    console.print(Text(f"{chosen} on {found.node_name}: {found.why}"))


def _rungs(found: operations.RouteExplanation) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("", "rung", "P(ok)", "expected cost", "accepted from", "removed by"):
        table.add_column(column, overflow="fold")
    for rung in found.ladder:
        table.add_row(
            ">" if rung.chosen else "",
            rung.model_name,
            f"{rung.p_ok:.2f}" if rung.p_ok else "-",
            money(rung.expected_cost_microusd),
            f"{rung.threshold:.2f}" if rung.threshold else "-",
            rung.removed_by,
        )
    return table


async def _explained(request: inference.GenerateRequest) -> operations.RouteExplanation:
    async with calling() as stub:
        found: operations.RouteExplanation = await stub.ExplainRoute(request, timeout=CALL_WITHIN_S)
        return found
