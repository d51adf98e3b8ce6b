"""A played engine on a real socket, and what asks it."""

from collections.abc import AsyncIterator

import pytest

from mesh.chat_api.patience import Patience
from mesh.core.types import Capability
from mesh.engine_address import read_engine_address
from node_agent.adopted.described import Described
from node_agent.adopted.kinds import Kind
from node_agent.adopted.looking import new_client
from node_agent.adopted.openai_engine import OpenAiEngine
from tests.coordinator.cloud.played_upstream import PlayedUpstream

ABLE = frozenset({Capability.TOOLS, Capability.GRAMMAR, Capability.LOGPROBS})
# What a test waits for where it has to wait for silence.
IMPATIENT = Patience(connect_s=2.0, first_token_s=1.0, chunk_s=0.3, usage_s=0.2)


@pytest.fixture
async def server() -> AsyncIterator[PlayedUpstream]:
    played = PlayedUpstream()
    await played.start()
    yield played
    await played.stop()


class Watched:
    """Counts what an engine tells whoever watches it."""

    def __init__(self) -> None:
        self.doubts = 0
        self.changes = 0

    def doubt(self) -> None:
        self.doubts += 1

    def change(self) -> None:
        self.changes += 1


@pytest.fixture
def watched() -> Watched:
    return Watched()


@pytest.fixture
async def engine(server: PlayedUpstream, watched: Watched) -> AsyncIterator[OpenAiEngine]:
    address = read_engine_address(f"http://127.0.0.1:{server.port}")
    async with new_client(address) as client:
        made = OpenAiEngine(
            Kind.LLAMA_CPP,
            "llama.cpp b1",
            Described("tiny", ("tiny",), True, ABLE, 1024),
            client,
            doubted=watched.doubt,
            changed=watched.change,
        )
        yield made
        await made.close()


@pytest.fixture
def impatient(engine: OpenAiEngine) -> None:
    engine.patience = IMPATIENT
