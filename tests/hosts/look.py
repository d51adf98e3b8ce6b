"""Looks at the mesh of this machine and prints its nodes as a line of JSON whenever they change.

``python -m tests.hosts.look``; nobody outside a network namespace can ask its coordinator.
"""

import asyncio
import json
import sys
from typing import Any

from mesh.cli.operations import CALL_WITHIN_S, calling
from mesh.errors import MeshError
from mesh.v1 import operations_pb2 as operations
from mesh.wire import enums

LOOK_EVERY_S = 0.05  # sees a request that takes longer, and is a twentieth of a beat late


async def main() -> None:
    """Until it is ended; a coordinator that is gone is looked for again."""
    said = ""
    while True:
        try:
            async with calling() as stub:
                while True:
                    view = await stub.GetMesh(operations.GetMeshRequest(), timeout=CALL_WITHIN_S)
                    if (line := json.dumps(nodes_of(view))) != said:
                        said = line
                        sys.stdout.write(line + "\n")
                        sys.stdout.flush()
                    await asyncio.sleep(LOOK_EVERY_S)
        except MeshError:
            await asyncio.sleep(LOOK_EVERY_S)


def nodes_of(view: operations.MeshView) -> dict[str, Any]:
    """Return what tests wait for."""
    return {
        node.machine.name: {
            "node_id": node.node_id,
            "state": enums.NODE_STATE[node.state],
            "running": node.attempts_running,
            "models": [model.names[0] for model in node.models],
        }
        for node in view.nodes
    }


if __name__ == "__main__":
    asyncio.run(main())
