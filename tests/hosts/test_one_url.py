"""http://localhost:7480 is the mesh on every machine, for a client that knows nothing else."""

import json
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from tests.hosts.conftest import NewHost
from tests.hosts.host import Host
from tests.hosts.network import needs_network
from tests.whole.conftest import joined_by_command as joined
from tests.whole.conftest import serving
from tests.whole.machine import Running

pytestmark = needs_network

CHAT = (sys.executable, "-m", "tests.hosts.openai_chat")


async def test_a_client_of_openai_streams_on_every_machine_while_the_coordinator_restarts(
    new_host: NewHost,
) -> None:
    office, desk, laptop = new_host("office"), new_host("desk"), new_host("laptop")
    async with AsyncExitStack() as stack:
        async with office.running("coordinator") as first:
            await first.says("nodes and operators on port")
            await joined(desk, office)
            await joined(laptop, office, "--no-lend", role="client")
            node = await stack.enter_async_context(desk.running("node"))
            await serving(node)
            agent = await stack.enter_async_context(laptop.running("node"))
            await agent.says("http://localhost:7480")
            chats = [
                await stack.enter_async_context(chatting(host)) for host in (office, desk, laptop)
            ]
            before = [await says(chat, "auto") for chat in chats]
            lines = len(node.lines)
        async with office.running("coordinator") as second:
            # No test waits for the mesh to be whole again: neither would the client.
            await second.says("nodes and operators on port")
            after = [await says(chat, "auto") for chat in chats]
            await node.line(
                lambda line: "attached to coordinator" in line, what="again", after=lines
            )
        for answer in (*before, *after):
            assert answer["text"] == before[0]["text"] != ""
            assert answer["tokens"] > 0
            assert answer["headers"]["x-deskmesh-node"] == "desk"


@asynccontextmanager
async def chatting(host: Host) -> AsyncIterator[Running]:
    """Have a client open on a host."""
    async with host.running_program(*CHAT) as process:
        yield process


async def says(chat: Running, model: str) -> dict[str, Any]:
    """Have a client ask once; its failure ends it, and the test."""
    seen = len(chat.lines)
    await chat.tell(model)
    await chat.line(lambda line: line.startswith("{"), what="answer", after=seen)
    answer: dict[str, Any] = json.loads(chat.lines[seen][1])
    return answer
