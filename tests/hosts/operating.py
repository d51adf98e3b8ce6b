"""An operator on a host: prints the nodes of its mesh as they change, and drains them when told.

``python -m tests.hosts.operating``: nobody outside a network namespace can ask its coordinator.
Each change is a line of JSON; ``drain NAME`` and ``resume NAME`` on stdin are answered by ``done``.
"""

import asyncio
import json
import sys
from typing import Any

from mesh.cli.operations import CALL_WITHIN_S, calling
from mesh.errors import MeshError
from mesh.v1 import operations_pb2 as operations
from mesh.v1 import operations_pb2_grpc as operations_grpc
from mesh.wire import enums

LOOK_EVERY_S = 0.05  # sees a request that takes longer, and is a twentieth of a beat late


async def main() -> None:
    """Until stdin ends; a coordinator that is gone is looked for again."""
    looking = asyncio.create_task(look())
    while words := (await asyncio.to_thread(sys.stdin.readline)).split():
        async with calling() as stub:
            await drain(stub, words[1], resume=words[0] == "resume")
        tell("done")
    looking.cancel()


async def look() -> None:
    """Print the nodes whenever they changed."""
    said = ""
    while True:
        try:
            async with calling() as stub:
                while True:
                    line = json.dumps(await nodes(stub))
                    if line != said:
                        tell(line)
                    said = line
                    await asyncio.sleep(LOOK_EVERY_S)
        except MeshError:
            await asyncio.sleep(LOOK_EVERY_S)


async def nodes(stub: operations_grpc.OperationsStub) -> dict[str, Any]:
    """Return what tests wait for, by the machines' names."""
    view = await stub.GetMesh(operations.GetMeshRequest(), timeout=CALL_WITHIN_S)
    return {
        node.machine.name: {
            "node_id": node.node_id,
            "state": enums.NODE_STATE[node.state],
            "running": node.attempts_running,
            "models": [model.names[0] for model in node.models],
        }
        for node in view.nodes
    }


async def drain(stub: operations_grpc.OperationsStub, name: str, *, resume: bool) -> None:
    """Let no new work begin on a node, or let it again."""
    node_id = (await nodes(stub))[name]["node_id"]
    await stub.DrainNode(operations.DrainNodeRequest(node_id=node_id, resume=resume))


def tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
