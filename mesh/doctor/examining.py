"""All checks, in the order in which one thing rests on another."""

import asyncio
from collections.abc import Iterator

from mesh.doctor import computing, machine
from mesh.doctor.finding import Finding, failed
from mesh.doctor.membership import clock, membership
from mesh.doctor.models import models
from mesh.doctor.network import (
    Answered,
    ask_coordinator,
    judge_coordinator,
    judge_multicast,
    listen,
)
from mesh.doctor.ports import ports
from mesh.errors import MeshError
from mesh.gpus.look import gpus_here
from mesh.home import Home
from mesh.identity.machine import MachineIdentity
from mesh.installed_engine import installed_engine
from mesh.settings import Settings, load_settings


def examine() -> Iterator[Finding]:
    """Yield what each check finds, as it finds it. Changes nothing; takes some 3 seconds."""
    here = Home.find()
    yield machine.python()
    yield machine.home(here)
    yield machine.disk(here)
    yield machine.memory()
    try:
        settings = load_settings()
    except MeshError as failure:
        yield failed("settings", failure.message, failure.hint or f"mend {here.settings_file}")
        return
    yield from _computing(here)
    yield models(lends=here.lends)
    yield ports(here, settings.ports)
    mesh, identity = membership(here)
    yield mesh
    if identity is not None:
        yield clock(here, identity)
    yield from asyncio.run(_network(here, identity, settings))


def _computing(here: Home) -> Iterator[Finding]:
    engine = installed_engine()
    yield computing.judge_engine(engine, lends=here.lends)
    yield computing.judge_gpus(gpus_here(), engine)
    yield computing.compiler(engine)


async def _network(
    here: Home, identity: MachineIdentity | None, settings: Settings
) -> list[Finding]:
    mesh_id = identity.peer.mesh_id if identity else ""
    answered: Answered | None = None
    found: list[Finding] = []
    async with asyncio.TaskGroup() as group:
        hearing = group.create_task(listen(settings.discovery, mesh_id))
        try:
            if identity is not None:
                answered = await ask_coordinator(here, identity, settings.discovery)
        except MeshError as failure:
            found.append(failed("coordinator", failure.message, failure.hint))
    heard = hearing.result()
    if answered is not None:
        multicast = settings.discovery.multicast
        found.append(judge_coordinator(answered, heard, multicast=multicast))
    return [*found, judge_multicast(heard, answered)]
