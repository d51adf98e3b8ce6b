"""What an idle node agent costs its owner: memory, processor, and the network to a coordinator."""

import asyncio
import re
import shutil
import time

import psutil

from bench.played_mesh import START_WITHIN_S, played_mesh
from bench.result import Figures
from mesh.cli.children import running
from mesh.cli.waiting import has_nodes, wait_for_mesh

SETTLE_S = 5.0  # the first hashes and pings are over
MEASURE_S = 60.0
MEASURE_SHORT_S = 10.0


async def measure(short: bool) -> Figures:
    """Watch an agent that has the test model on disk, none warm, and one coordinator."""
    measure_s = MEASURE_SHORT_S if short else MEASURE_S
    async with played_mesh() as mesh:
        given = mesh.environment(mesh.node_home, "node") | {"DESKMESH_DISCOVERY__MULTICAST": "true"}
        log = mesh.folder / "node.log"
        async with running("node_agent", given, log_file=log) as agent:
            await wait_for_mesh(
                mesh.coordinator_home, has_nodes(1), within_s=START_WITHIN_S, what="node"
            )
            await asyncio.sleep(SETTLE_S)
            return await _watch(agent.process.pid, measure_s)


async def _watch(pid: int, measure_s: float) -> Figures:
    process = psutil.Process(pid)
    began_s, before, sent = time.monotonic(), process.cpu_times(), _traffic(pid)
    print(f"watching an idle agent for {measure_s:.0f} s", flush=True)
    await asyncio.sleep(measure_s)
    took_s, after, sent_after = time.monotonic() - began_s, process.cpu_times(), _traffic(pid)
    used_s = after.user + after.system - before.user - before.system
    packets, octets = (
        (
            (sent_after[0] - sent[0]) / took_s,
            (sent_after[1] - sent[1]) / took_s,
        )
        if sent and sent_after
        else (None, None)
    )
    return {
        "rss_mb": process.memory_info().rss / 1e6,
        "cpu_percent": 100 * used_s / took_s,
        "packets_per_s": packets,
        "bytes_per_s": octets,
    }


def _traffic(pid: int) -> tuple[int, int] | None:
    """Return packets and bytes, both ways, of the agent's TCP connections; Linux only.

    From the kernel's own counters. Bytes are those of TCP's payload, which is TLS: 40 more a packet
    go over the wire for IPv4 and TCP headers, and they are added.
    """
    if shutil.which("ss") is None:
        return None
    import subprocess

    listing = subprocess.run(
        ["ss", "-tinpH", "state", "established"], capture_output=True, text=True, check=True
    ).stdout
    packets = octets = 0
    for block in re.split(r"\n(?=\S)", listing):
        if f"pid={pid}," not in block:
            continue
        count = sum(int(n) for n in re.findall(r"segs_(?:out|in):(\d+)", block))
        payload = re.findall(r"bytes_(?:sent|received):(\d+)", block)
        packets += count
        octets += sum(map(int, payload)) + 40 * count
    return packets, octets
