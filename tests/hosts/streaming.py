"""A client of the SDK on a host: streams an answer each time that it is told to, event by event.

``python -m tests.hosts.streaming``: each line on stdin is a request's id. What comes of it are
lines of JSON: the machine that began, each delta, and at the end the attempts that gave or failed:
on a busy machine a first token may be late, and another host be asked that is outrun.
"""

import asyncio
import json
import sys
from typing import Any

from mesh.client import MeshClient, connect
from mesh.core.hedging import OUTRUN
from mesh.v1 import inference_pb2 as inference

PROMPT = "Count from 1 to 60"
TOKENS = 200  # a second of the bundled model on a quiet machine, so that its middle can be met


async def main() -> None:
    """Until stdin ends."""
    async with connect() as client:
        while request_id := (await asyncio.to_thread(sys.stdin.readline)).strip():
            await stream(client, request_id)


async def stream(client: MeshClient, request_id: str) -> None:
    message = inference.Message(role=inference.ROLE_USER, parts=[inference.Part(text=PROMPT)])
    request = inference.GenerateRequest(
        request_id=request_id,
        messages=[message],
        sampling=inference.Sampling(temperature=1.0, seed=7),
        max_tokens=TOKENS,
        deadline_ms=60_000,
    )
    async for event in client.answer(request):
        match event.WhichOneof("event"):
            case "started":
                tell(node=event.started.node_name)
            case "delta":
                delta = event.delta
                tell(offset=delta.token_offset, ids=list(delta.ids), text=delta.text)
            case "finished":
                receipt = event.finished.receipt
                tell(
                    attempts=[
                        [each.node_name, each.outcome]
                        for each in receipt.attempts
                        if each.outcome != OUTRUN
                    ],
                    numerics_changed_at_token=receipt.numerics_changed_at_token,
                )
            case _:
                pass


def tell(**what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
