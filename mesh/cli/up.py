"""``deskmesh up``: a coordinator and a node on this machine, in one terminal."""

import asyncio
import shlex
from collections.abc import Awaitable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated

import typer

from mesh.cli.children import Child, running
from mesh.cli.first_model import without_models
from mesh.cli.machine import require_engine, this_command
from mesh.cli.output import console, count, errors, number_of
from mesh.cli.run import node_environment
from mesh.cli.waiting import knows_its_models, wait_for_mesh
from mesh.errors import DeadlineExceeded, InvalidRequest, ServiceError
from mesh.home import Home
from mesh.identity.store import IdentityStore
from mesh.lock import only_one
from mesh.process import FAILED, until_stopped
from mesh.settings import load_settings
from mesh.v1 import inference_pb2 as inference
from mesh.v1 import operations_pb2 as operations

COORDINATOR_WITHIN_S = 20.0  # a cold Python on a slow disk takes 3 s
NODE_WITHIN_S = 60.0  # large model files are hashed once, at the first start


def register(app: typer.Typer) -> None:
    app.command("up")(up)


def up(
    name: Annotated[str, typer.Option(help="Shown to people; empty: the hostname.")] = "",
    models: Annotated[
        list[Path] | None,
        typer.Option(help="A folder of GGUF files, instead of the usual ones; may be repeated."),
    ] = None,
) -> None:
    """Start a mesh here: a coordinator, and a node that serves this machine's models."""
    environment = node_environment(name, models or [], [])
    require_engine()
    _refuse_a_guest(Home.find())
    try:
        asyncio.run(until_stopped(lambda stopping: _up(environment, stopping)))
    except asyncio.CancelledError:  # told twice to stop
        raise typer.Exit(FAILED) from None


def _refuse_a_guest(home: Home) -> None:
    """A machine that has joined a mesh does not begin another one in the same home."""
    if IdentityStore(home).roles() and not home.authority.exists():
        raise InvalidRequest(
            "this machine has joined a mesh that another machine coordinates",
            hint="use `deskmesh node` here, or another DESKMESH_HOME for a mesh of its own",
        )
    for what in ("coordinator", "node"):
        with only_one(home, what):
            pass  # nobody is; the processes that follow take the locks themselves


async def _up(environment: dict[str, str], stopping: asyncio.Event) -> None:
    """Serve until ``stopping`` is set.

    Raises:
        ServiceError: a part ended by itself.
    """
    serving = asyncio.create_task(_serve(environment))
    stopped = asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait((serving, stopped), return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            await serving
        errors.print("stopping; once more to stop at once", style="dim")
    finally:
        for task in (serving, stopped):
            task.cancel()
        await asyncio.wait((serving, stopped))


async def _serve(environment: dict[str, str]) -> None:
    home = Home.find()
    async with AsyncExitStack() as stack:
        coordinator = await stack.enter_async_context(running("coordinator", environment))
        answer = wait_for_mesh(
            home, lambda _: True, within_s=COORDINATOR_WITHIN_S, what="answer of the coordinator"
        )
        await _ready(coordinator, answer)
        node = await stack.enter_async_context(running("node_agent", environment))
        waiting = wait_for_mesh(
            home, knows_its_models, within_s=NODE_WITHIN_S, what="complete list of models"
        )
        try:
            _say_ready(await _ready(node, waiting))
        except DeadlineExceeded:
            errors.print(
                "model files are still being read: each model is served as soon as it is known",
                style="yellow",
            )
        ended = await _first_to_end(coordinator, node)
        raise ServiceError(f"the {ended.name} ended by itself", hint="its log above says why")


async def _ready(child: Child, waiting: Awaitable[operations.MeshView]) -> operations.MeshView:
    """Wait, unless the child ends before.

    Raises:
        ServiceError: it ended; its log has said why.
        DeadlineExceeded: nothing happened in time.
    """
    awaited = asyncio.ensure_future(waiting)
    ended = asyncio.ensure_future(child.wait())
    try:
        await asyncio.wait((awaited, ended), return_when=asyncio.FIRST_COMPLETED)
        if not awaited.done():
            raise ServiceError(f"the {child.name} did not start", hint="its log above says why")
        return await awaited
    finally:
        awaited.cancel()
        ended.cancel()


def _say_ready(view: operations.MeshView) -> None:
    models = [model for node in view.nodes for model in node.models]
    real = [model for model in models if not model.test]
    console.print()
    if real:
        listed = ", ".join(f"{m.names[0]} ({count(m.parameters)})" for m in real[:6])
        console.print(
            f"Serving {number_of(len(real), 'model')} of this machine: {listed}", soft_wrap=True
        )
    else:
        console.print(without_models(Home.find()), soft_wrap=True)
    console.print("\nIn another terminal:\n")
    for line in _lines_to_paste(real or models):
        console.print(f"    {line}", soft_wrap=True)
    if port := load_settings().ports.http:  # a free one is told in the coordinator's first line
        console.print(f"\nFor tools that speak OpenAI's API: http://localhost:{port}/v1")
    console.print("\nCtrl-C stops it.\n", style="dim")


def _lines_to_paste(models: list[inference.ModelView]) -> list[str]:
    example = next((each for model in models for each in model.examples), "Why is the sky blue?")
    command = this_command()
    return [
        f"{command} ask {shlex.quote(example)}",
        f"{command} status",
        f"{command} invite        # prints a join code for the next machine",
    ]


async def _first_to_end(*children: Child) -> Child:
    waiting = {asyncio.ensure_future(child.wait()): child for child in children}
    done, pending = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for each in pending:
        each.cancel()
    return waiting[done.pop()]
