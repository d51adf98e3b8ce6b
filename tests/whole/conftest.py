"""Meshes of real processes on this machine."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from mesh.cli.operations import new_invitation
from mesh.cli.waiting import wait_for_mesh
from mesh.home import Home
from mesh.identity.store import IdentityStore
from mesh.joining import join
from mesh.v1 import operations_pb2 as operations
from tests.whole.machine import WITHIN_S, Machine, Running

NewMachine = Callable[..., Machine]
Joining = TypeVar("Joining", bound=Machine)


@pytest.fixture
def new_machine(tmp_path: Path) -> NewMachine:
    """Makes machines with homes of their own; multicast is off unless a test turns it on."""

    def make(name: str, *, multicast: bool = False, **settings: str) -> Machine:
        given = {"DESKMESH_DISCOVERY__MULTICAST": str(multicast).lower(), **settings}
        return Machine(Home(tmp_path / name), name, given)

    return make


@pytest.fixture
async def office(new_machine: NewMachine) -> AsyncIterator[Machine]:
    """A machine that runs a coordinator."""
    machine = new_machine("office")
    async with machine.running("coordinator") as coordinator:
        await coordinator.says("nodes and operators on port")
        yield machine


async def joined(
    machine: Joining, office: Machine, *, role: str = "node", lend: bool = True
) -> Joining:
    """Let ``machine`` join the mesh of ``office`` by a code, without the start of two commands."""
    code, _ = await new_invitation(role, "", office.home)
    await join(machine.home, code, machine_name=machine.name, lend=lend)
    return machine


async def joined_by_command(
    machine: Joining, office: Machine, *options: str, role: str = "node"
) -> Joining:
    """Let ``machine`` join the mesh of ``office`` by a code, as people do it."""
    invitation = await office.run("invite", "--json", "--role", role)
    assert invitation.code == 0, invitation.err
    done = await machine.run("join", invitation.json["code"], *options)
    assert done.code == 0, done.err
    return machine


def forget_addresses(machine: Machine) -> list[str]:
    """Let a joined machine forget where its coordinators are, and return where they were."""
    store = IdentityStore(machine.home)
    membership = store.membership()
    store.save_membership(membership.model_copy(update={"coordinators": ()}))
    return [each.address for each in membership.coordinators]


async def attached(node: Running) -> float:
    return await node.says("attached to coordinator")


async def mesh_holds(office: Machine, /, **models: int) -> None:
    """Wait until the mesh has heard of so many models on machines of these names, and no others.

    A node's own word comes before that.
    """

    def told(view: operations.MeshView) -> bool:
        return {node.machine.name: len(node.models) for node in view.nodes} == models

    await wait_for_mesh(office.home, told, within_s=WITHIN_S, what=f"models: {models}")


async def serving(node: Running) -> None:
    """Wait until a node has attached, and knows the one model that it has."""
    await attached(node)
    await node.line(lambda line: line.endswith(" 1 model"), what="that it has a model")
