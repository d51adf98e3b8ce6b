"""``deskmesh invite`` and ``deskmesh join``: how machines become one mesh."""

import asyncio
import os
import socket
from enum import StrEnum
from typing import Annotated

import typer

from mesh.cli.operations import new_invitation
from mesh.cli.output import console, errors, print_json
from mesh.home import HOME_VARIABLE, Home
from mesh.joining import join as join_mesh
from mesh.settings import load_settings


def register(app: typer.Typer) -> None:
    app.command("invite")(invite)
    app.command("join")(join)


class InvitedRole(StrEnum):
    """What ``deskmesh invite`` may let in."""

    NODE = "node"
    CLIENT = "client"
    OPERATOR = "operator"


def invite(
    role: Annotated[
        InvitedRole,
        typer.Option(help="node lends and uses; client only uses; operator also runs the mesh."),
    ] = InvitedRole.NODE,
    name: Annotated[str, typer.Option(help="Whom it is for, for your own memory.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print a join code: good for one machine, for 10 minutes. Keep it as you keep a password."""
    code, expires_in_s = asyncio.run(new_invitation(role.value, name))
    if as_json:
        print_json({"code": code, "expires_in_s": expires_in_s})
        return
    errors.print(f"On the other machine, within {expires_in_s // 60} minutes:", style="dim")
    console.print(f"deskmesh join {code}", soft_wrap=True)


def join(
    code: Annotated[str, typer.Argument(help="What `deskmesh invite` printed.")],
    address: Annotated[
        str, typer.Option(help="host:port of the coordinator's join port, if not found.")
    ] = "",
    no_lend: Annotated[
        bool, typer.Option("--no-lend", help="Only use the mesh: this machine serves nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Make this machine a member of a mesh. Then run `deskmesh node` to lend it."""
    settings = load_settings()
    name = settings.node.name or socket.gethostname()
    here = Home.find()
    peer = asyncio.run(join_mesh(here, code, machine_name=name, address=address, lend=not no_lend))
    if as_json:
        print_json(
            {
                "mesh_id": peer.mesh_id,
                "node_id": peer.fingerprint,
                "role": peer.role,
                "lends": here.lends,
            }
        )
        return
    console.print(f"joined mesh {peer.mesh_id} as {name}, a {peer.role} ({peer.fingerprint})")
    if not here.lends:
        console.print("this machine uses the mesh and lends nothing")
    home = os.environ.get(HOME_VARIABLE)
    command = f"{HOME_VARIABLE}={home} deskmesh node" if home else "deskmesh node"
    door = f"http://localhost:{settings.ports.http}"
    why = "lend this machine's models" if here.lends else f"open {door} here"
    console.print(f"{why} with: {command}", soft_wrap=True)
