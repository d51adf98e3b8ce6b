"""What the mesh-health page costs: its bytes, its first paint, and the coordinator's processor.

A played mesh of a hundred nodes, each of which reports once a second, and requests of which sixty
events a second reach the page (arrived, started, ended), run in a process of their own behind the
page and the door that ship. Its processor time is taken without an open page, with one, and with
several; the difference is the page's. First paint is chromium's own figure, where there is one.
"""

import asyncio
import re
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx2
import psutil

from bench.result import Figures, percentile
from scripts.browser import ARGUMENTS, LACKING, find_chromium

NODES = 100
REQUESTS_PER_S = 20  # three events each
SEVERAL = 8
MEASURE_S, MEASURE_SHORT_S = 20.0, 5.0
ROUNDS, ROUNDS_SHORT = 3, 1
SETTLE_S = 2.0
PAINTS, PAINTS_SHORT = 7, 3


async def measure(short: bool) -> Figures:
    """Watch the played coordinator, in turn without, with one, and with several open pages."""
    async with played() as (address, process):
        figures = await _sizes(address)
        measure_s = MEASURE_SHORT_S if short else MEASURE_S
        shares: dict[int, list[float]] = {0: [], 1: [], SEVERAL: []}
        carried: dict[int, list[float]] = {0: [], 1: [], SEVERAL: []}
        for round_ in range(ROUNDS_SHORT if short else ROUNDS):
            for pages, found in shares.items():
                print(f"round {round_ + 1}: {pages} open pages, {measure_s:.0f} s", flush=True)
                share, octets = await _watch(address, process, pages, measure_s)
                found.append(share)
                carried[pages].append(octets)
        calm, one, several = (percentile(found, 50) for found in shares.values())
        figures |= {
            "cpu_percent": one - calm,
            "cpu_percent_further_page": (several - one) / (SEVERAL - 1),
            "cpu_percent_mesh_alone": calm,
            "stream_kb_per_s": percentile(carried[1], 50) / 1000,
        }
        first_paint_ms = await _first_paint_ms(address, PAINTS_SHORT if short else PAINTS)
    return figures | {"first_paint_ms": first_paint_ms}


@asynccontextmanager
async def played() -> AsyncIterator[tuple[str, psutil.Process]]:
    """Run a played mesh while the context is open; give its page's address, and its process."""
    given = ("--nodes", str(NODES), "--requests-per-s", str(REQUESTS_PER_S), "--past-s", "120")
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.played_page", *given, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert child.stdout is not None
        address = (await child.stdout.readline()).decode().strip()
        yield address, psutil.Process(child.pid)
    finally:
        child.terminate()
        await child.wait()


async def _sizes(address: str) -> dict[str, float | int | None]:
    async with httpx2.AsyncClient(base_url=address) as client:
        page = await client.get("/")
        files = set(re.findall(r'(?:href|src)="(/(?:page|icon)[^"]+)"', page.text))
        whole = len(page.content)
        for each in files:
            whole += len((await client.get(each)).content)
    return {"page_kb": whole / 1000, "html_kb": len(page.content) / 1000}


async def _watch(
    address: str, process: psutil.Process, pages: int, measure_s: float
) -> tuple[float, float]:
    """Return the process's share of a core in per cent, and bytes a second of one page."""
    received = 0

    async def follow(client: httpx2.AsyncClient) -> None:
        nonlocal received
        page = (await client.get("/")).text
        tag = re.findall(r'data-tag="([^"]+)"', page)[0]
        async with client.stream("GET", f"/events?{tag}", timeout=None) as events:
            async for part in events.aiter_raw():
                received += len(part)

    async with AsyncExitStack() as stack:
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        client = await stack.enter_async_context(httpx2.AsyncClient(base_url=address))
        following = [tasks.create_task(follow(client)) for _ in range(pages)]
        await asyncio.sleep(SETTLE_S)
        began_s, before, received = time.monotonic(), process.cpu_times(), 0
        await asyncio.sleep(measure_s)
        after, took_s = process.cpu_times(), time.monotonic() - began_s
        for task in following:
            task.cancel()
    assert received or not pages, "the open pages were told nothing"
    used_s = after.user + after.system - before.user - before.system
    return 100 * used_s / took_s, received / took_s / max(pages, 1)


async def _first_paint_ms(address: str, paints: int) -> float | None:
    """Return the median over fresh browser contexts, from the navigation's start."""
    path = find_chromium()
    if path is None:
        print(f"first paint is not measured: {LACKING}")
        return None
    from playwright.async_api import async_playwright

    found = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        for _ in range(paints + 1):
            page = await browser.new_page(viewport={"width": 1280, "height": 900})
            await page.goto(address)
            found.append(float(await page.evaluate(FIRST_PAINT)))
            await page.close()
        await browser.close()
    return percentile(found[1:], 50)  # the first one also starts the browser's own processes


# Asked in one go: the page's own policy forbids what waits by evaluating a text again and again.
FIRST_PAINT = """() => new Promise((resolve) => new PerformanceObserver((list) => {
  const painted = list.getEntriesByName("first-contentful-paint")[0];
  if (painted) resolve(painted.startTime);
}).observe({ type: "paint", buffered: true }))"""
