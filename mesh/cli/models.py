"""``deskmesh models``: what the mesh can answer with."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.table import Table

from mesh.cli import model_knowing, model_pulling, model_suggesting, own_models
from mesh.cli.narrow import fitting
from mesh.cli.output import console, count, how_near, print_json, size
from mesh.client import connect
from mesh.v1 import inference_pb2 as inference
from mesh.wire import enums
from mesh.wire.plain import to_plain

app = typer.Typer(help="The models of the mesh.", no_args_is_help=True)
own_models.register(app)
model_pulling.register(app)
model_suggesting.register(app)
model_knowing.register(app)


def register(parent: typer.Typer) -> None:
    parent.add_typer(app, name="models")


@app.callback()
def models() -> None:
    """The models of the mesh."""


@app.command("list")
def list_models(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    address: Annotated[
        str, typer.Option(help="host:port of a local gRPC port; empty: this machine's mesh.")
    ] = "",
) -> None:
    """List every model that a node of the mesh holds."""
    found = asyncio.run(_models(address))
    if as_json:
        print_json({"models": [to_plain(model) for model in found]})
    elif found:
        _show(found)
    else:
        console.print("no models: `deskmesh models add FILE` lets this machine serve one")


async def _models(address: str) -> Sequence[inference.ModelView]:
    async with connect(address or None) as mesh:
        return await mesh.models()


def _show(found: Sequence[inference.ModelView]) -> None:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("model", "parameters", "quantisation", "size", "context", "where"):
        table.add_column(column, overflow="fold")
    for model in found:
        table.add_row(
            model.names[0] + _in_brackets(model),
            count(model.parameters),
            model.quantisation,
            size(model.size_bytes),
            str(model.context_tokens),
            ", ".join(_replica(replica) for replica in model.replicas),
        )
    console.print(fitting(table, console))
    for model in found:
        if model.test and all(each.test for each in found):
            console.print(
                f"{model.names[0]} is a test bench and knows these tasks only: "
                + "; ".join(model.examples),
                style="dim",
            )


def _in_brackets(model: inference.ModelView) -> str:
    """What it is for, and how far it has come with ``auto``, where there is something to say."""
    said = ["test model"] if model.test else []
    said += [f"for {', '.join(model.domains)}"] if model.domains else []
    said += [model.standing] if model.standing else []
    return f" ({'; '.join(said)})" if said else ""


def _replica(replica: inference.ReplicaView) -> str:
    near = how_near(enums.REPLICA_STATE[replica.state], replica.load_progress)
    why = f": {replica.reason}" if replica.reason else ""
    engine = f" by {replica.engine}" if replica.engine else ""
    return f"{replica.node_name} ({near}{engine}{why})"
