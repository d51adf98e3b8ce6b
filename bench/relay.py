"""What the mesh adds to an answer: time to the first token, and work for each stream.

Client, coordinator and agent are processes of their own; client and node connect by mTLS. The
engine child is replaced by an echo engine, and the baseline is the same echo engine called through
the agent's own engine interface, in this process. The HTTP door is held against gRPC on the same
loopback. All sides are measured in turn, in one run.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psutil

from bench.echo_agent import PACE_VARIABLE, echo_engine
from bench.http_line import http_line
from bench.played_mesh import START_WITHIN_S, PlayedMesh, played_mesh
from bench.result import Figures, percentile
from mesh.cli.children import running
from mesh.cli.waiting import wait_for_mesh
from mesh.client import MeshClient, connect
from mesh.core.chat import Message, Role
from mesh.core.generation import Delta, Generation, Sampling
from mesh.member import reach_coordinator
from mesh.v1 import operations_pb2 as operations

REQUESTS = 1000
REQUESTS_SHORT = 100
WARM_UP = 50  # imports, connections and the allocator settle
MAX_TOKENS = 8
PROMPT = "one two three four five six seven eight"

PACE_TOKENS_PER_S = 30.0
STREAMS = (64, 128, 192, 256)  # what this machine's client and agent can drive beside the relay
STREAMS_SHORT = (64,)
STREAM_S = 10.0
PACE_KEPT = 0.95  # a step counts if its streams got so much of their pace


async def measure(short: bool) -> Figures:
    """Measure first tokens one at a time, then many paced streams."""
    async with played_mesh() as mesh:
        figures = await _first_tokens(mesh, REQUESTS_SHORT if short else REQUESTS)
        streams = await _streams_per_core(mesh, STREAMS_SHORT if short else STREAMS)
    return {**figures, "streams_per_core": streams}


async def _first_tokens(mesh: PlayedMesh, count: int) -> dict[str, float]:
    async with (
        _echoing(mesh, pace=0.0),
        await reach_coordinator(mesh.coordinator_home) as channel,
        connect(f"127.0.0.1:{mesh.local_port}") as plain,
        http_line(mesh.http_port, PROMPT, MAX_TOKENS) as http,
    ):
        over_tls = MeshClient(channel)
        samples: dict[str, list[float]] = {"engine": [], "tls": [], "plain": [], "http": []}
        print(f"first tokens of {count} requests, one at a time", flush=True)
        for index in range(count + WARM_UP):
            taken = {
                "engine": await _engine_first_token_ms(),
                "tls": await _first_token_ms(over_tls),
                "plain": await _first_token_ms(plain),
                "http": await http.first_token_ms(),
            }
            if index >= WARM_UP:
                for name, value in taken.items():
                    samples[name].append(value)

    def added(to: str, by: str, percent: int) -> float:
        return percentile(samples[by], percent) - percentile(samples[to], percent)

    return {
        "added_first_token_ms_p50": added("engine", "tls", 50),
        "added_first_token_ms_p99": added("engine", "tls", 99),
        "added_first_token_plain_ms_p50": added("engine", "plain", 50),
        # Both on the coordinator's own loopback, in plain text: what the door costs beside gRPC.
        "http_added_ms_p50": added("plain", "http", 50),
        "http_added_ms_p99": added("plain", "http", 99),
    }


async def _engine_first_token_ms() -> float:
    work = Generation((Message(Role.USER, PROMPT),), Sampling(), max_tokens=MAX_TOKENS)
    began_s = time.perf_counter()
    first_ms = 0.0
    async for event in echo_engine().generate(work):
        if isinstance(event, Delta) and not first_ms:
            first_ms = (time.perf_counter() - began_s) * 1000
    return first_ms


async def _first_token_ms(mesh: MeshClient) -> float:
    began_s = time.perf_counter()
    first_ms = 0.0
    async with mesh.generate(PROMPT, max_tokens=MAX_TOKENS) as answer:
        async for _ in answer:
            first_ms = first_ms or (time.perf_counter() - began_s) * 1000
    return first_ms


async def _streams_per_core(mesh: PlayedMesh, steps: tuple[int, ...]) -> float:
    """Return streams per core of the coordinator, at the largest step that kept its pace."""
    best = 0.0
    coordinator = psutil.Process(mesh.coordinator.process.pid)
    async with (
        _echoing(mesh, pace=PACE_TOKENS_PER_S),
        await reach_coordinator(mesh.coordinator_home) as channel,
    ):
        client = MeshClient(channel)
        await client.ask("load the model")
        for streams in steps:
            kept, cores = await _paced(client, coordinator, streams)
            print(f"{streams} streams: {kept:.0%} of their pace, {cores:.0%} of a core", flush=True)
            if kept < PACE_KEPT:
                break
            best = streams / cores
    return best


async def _paced(
    client: MeshClient, coordinator: psutil.Process, streams: int
) -> tuple[float, float]:
    """Run ``streams`` at a time; return their share of the pace, and the relay's of a core."""
    words = int(PACE_TOKENS_PER_S * STREAM_S)
    prompt = "word " * words
    began_s, before = time.monotonic(), coordinator.cpu_times()
    await asyncio.gather(*(client.ask(prompt) for _ in range(streams)))
    took_s, after = time.monotonic() - began_s, coordinator.cpu_times()
    used_s = after.user + after.system - before.user - before.system
    return STREAM_S / took_s, used_s / took_s


@asynccontextmanager
async def _echoing(mesh: PlayedMesh, *, pace: float) -> AsyncIterator[None]:
    """Keep an echo agent attached while the context is open."""
    given = mesh.environment(mesh.node_home, "echo") | {PACE_VARIABLE: str(pace)}
    async with running("bench.echo_agent", given, log_file=mesh.folder / "echo.log"):
        await wait_for_mesh(
            mesh.coordinator_home, _attached, within_s=START_WITHIN_S, what="echo agent"
        )
        yield


def _attached(view: operations.MeshView) -> bool:
    """The agent of this moment, not the one before it."""
    return any(node.state == operations.NODE_STATE_ALIVE and node.models for node in view.nodes)
