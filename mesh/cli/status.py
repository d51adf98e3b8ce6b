"""``deskmesh status``: the mesh at a glance, or who is around."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from mesh.cli.narrow import fitting
from mesh.cli.operations import mesh_view
from mesh.cli.output import console, errors, how_near, number_of, print_json, seconds
from mesh.core.types import NodeState
from mesh.settings import load_settings
from mesh.v1 import inference_pb2 as inference
from mesh.v1 import operations_pb2 as operations
from mesh.wire import enums
from mesh.wire.plain import to_plain

if TYPE_CHECKING:
    from mesh.discovery.nearby import Nearby

_LOADS = ("idle", "light", "busy", "full")  # by load bucket
_OWNER_BUSY = "owner busy"  # beside the states of a node: alive, and its owner comes first
_STYLES = {
    "alive": "green",
    _OWNER_BUSY: "yellow",
    "suspect": "yellow",
    "draining": "yellow",
    "asleep": "blue",
}


def register(app: typer.Typer) -> None:
    app.command("status")(status)


def status(
    nearby: Annotated[
        bool, typer.Option("--nearby", help="Look around by mDNS instead of asking.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the nodes of the mesh, what they hold, and how they are."""
    if nearby:
        from mesh.discovery.nearby import scan

        interfaces = load_settings().discovery.interfaces
        if not as_json:
            errors.print("listening for 2 s ...", style="dim")
        _show_nearby(asyncio.run(scan(interfaces=interfaces)), as_json=as_json)
        return
    view = asyncio.run(mesh_view())
    if as_json:
        print_json(to_plain(view))
    else:
        show_mesh(view)
        warn_of_idle_gpus(view)


def show_mesh(view: operations.MeshView) -> None:
    """Print the mesh as a table."""
    coordinator = view.coordinator
    console.print(
        f"mesh {view.mesh_id}, coordinator {coordinator.name} "
        f"(up {seconds(coordinator.uptime_s)}): {view.requests_running} running, "
        f"{view.requests_waiting} waiting, "
        f"{number_of(view.requests_total, 'request')} since it started",
        soft_wrap=True,
    )
    if not view.nodes:
        console.print("no nodes yet: run `deskmesh invite`, then `deskmesh join CODE` elsewhere")
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("node", "state", "models", "running", "cpu", "memory", "rtt", "last report"):
        table.add_column(column, overflow="fold")
    for node in view.nodes:
        table.add_row(*_row(node))
    console.print(fitting(table, console))


def _row(node: operations.NodeView) -> tuple[str | Text, ...]:
    return (
        node.machine.name,
        state_of(node),
        ", ".join(_replica(model) for model in node.models) or "none",
        str(node.attempts_running),
        f"{node.cpu_share:.0%}",
        f"{node.memory_share:.0%}",
        f"{node.rtt_ms:.1f} ms" if node.rtt_ms else "-",
        f"{seconds(node.reported_ago_s)} ago",
    )


def state_of(node: operations.NodeView) -> Text:
    """Return a node's state, why, and for how long where it is away."""
    state = enums.NODE_STATE[node.state]
    owned = state is NodeState.ALIVE and node.owner_busy
    word = _OWNER_BUSY if owned else state.value
    shown = Text(word, _STYLES.get(word, "red"))
    told = f" ({node.reason})" if node.reason else ""
    match state:
        case NodeState.DRAINING:
            told += f", {node.attempts_running} running"
        case NodeState.ASLEEP | NodeState.LOST:
            told += f", {seconds(node.state_for_s)} ago"
    return shown.append(told, "default")


def _replica(model: inference.ModelView) -> str:
    replica = model.replicas[0]
    near = how_near(enums.REPLICA_STATE[replica.state], replica.load_progress)
    return f"{model.names[0]} ({'test, ' if model.test else ''}{near})"


def warn_of_idle_gpus(view: operations.MeshView) -> None:
    """Say which machines have a GPU that their engine does not use, and what to run there."""
    for node in view.nodes:
        idle = [each for each in node.machine.accelerators if each.idle]
        if idle:
            names = ", ".join(dict.fromkeys(each.name for each in idle))
            errors.print(
                f"{node.machine.name}: {names} unused: its engine was built without GPU support;"
                f" there: deskmesh engine install --{idle[0].kind}",
                style="yellow",
            )


def _show_nearby(found: "Nearby", *, as_json: bool) -> None:
    if as_json:
        machines = [
            {
                "machine_id": each.advert.machine_id,
                "name": each.advert.name,
                "role": each.advert.role.name.lower(),
                "mesh_id": each.advert.mesh_id,
                "version": each.advert.version,
                "addresses": list(each.addresses),
                "models": list(each.advert.models),
                "load": None if each.advert.load is None else int(each.advert.load),
            }
            for each in found.sightings
        ]
        trouble = str(found.trouble) if found.trouble else ""
        print_json({"machines": machines, "trouble": trouble})
        return
    if found.trouble:
        errors.print(str(found.trouble), style="yellow")
    if not found.sightings:
        console.print("nobody heard by mDNS; is another machine running deskmesh on this network?")
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("name", "role", "mesh", "models", "load", "at", "version"):
        table.add_column(column, overflow="fold")
    for each in found.sightings:
        advert = each.advert
        table.add_row(
            advert.name,
            advert.role.name.lower(),
            advert.mesh_id or "none yet",
            ", ".join(advert.models) or "-",
            "-" if advert.load is None else _LOADS[advert.load],
            each.addresses[0],
            advert.version,
        )
    console.print(fitting(table, console))
