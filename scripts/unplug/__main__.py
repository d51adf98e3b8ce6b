"""``make demo-unplug``: the machine that answers is killed mid-sentence, and the sentence ends.

``python -m scripts.unplug``. The client is OpenAI's own, unmodified, and asks the door of its own
machine. It ends with 0 only if no token of the answer was lost and none came twice.
"""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

from mesh.cli.machine import require_engine
from mesh.cli.output import console, say_error, seconds
from mesh.errors import MeshError, ServiceError
from scripts.browser import LACKING, find_chromium
from scripts.network import why_not
from scripts.unplug.answer import Answer, what_is_wrong
from scripts.unplug.machines import ROOT, Machine, machines, start, start_client

NODES = ("desk-1", "desk-2", "desk-3")
PROMPT = "Count from 1 to 60"
CUT_AFTER = 60  # characters: a quarter of the answer
PAUSE_MAX_S = 30.0  # ten times what it takes to notice the quietest death
PICTURE = ROOT / "build" / "demo-unplug.png"


def main() -> int:
    """Play it; return 0 if the cut answer is as good as the one that nobody disturbed."""
    try:
        require_engine()
        with tempfile.TemporaryDirectory(prefix="deskmesh-unplug-") as folder:
            return asyncio.run(_play(Path(folder)))
    except MeshError as failure:
        say_error(failure)
        return 1
    except KeyboardInterrupt:
        return 130


async def _play(folder: Path) -> int:
    lacking = why_not()
    where = (
        f"each with a home of its own on this machine ({lacking})"
        if lacking
        else "each a host of its own on a network of its own"
    )
    console.print(f"Five machines, {where}:")
    console.print("office coordinates, desk-1 to desk-3 answer, laptop only asks.\n")
    async with AsyncExitStack() as stack:
        made = stack.enter_context(
            machines(("office", *NODES, "laptop"), folder, hosts=not lacking)
        )
        office, laptop = made["office"], made["laptop"]
        await start(stack, office, [made[name] for name in NODES])
        await start_client(stack, office, laptop)
        return await _ask_twice(made, laptop)


async def _ask_twice(made: dict[str, Machine], laptop: Machine) -> int:
    url = f"{laptop.door}/v1"
    client = await asyncio.create_subprocess_exec(
        *laptop.command("scripts.unplug.client", url),
        env=laptop.program_environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        console.print(f"1. The openai client, unmodified, on laptop: {url}")
        whole = Answer()
        async for _ in _streamed(client, whole):
            pass
        console.print(
            f'   "{PROMPT}": undisturbed, {whole.tokens} tokens'
            f" from {whole.node} in {seconds(whole.took_s)}\n"
        )
        console.print("2. The same again; the machine that answers is killed (-9) in the middle:\n")
        cut = Answer()
        killed_s = await _cut(client, cut, made)
        _show_receipt(cut, whole)
        pause = seconds(cut.pause_s(killed_s))
        console.print(f"   longest pause that the client saw: {pause}", style="bold")
    finally:
        client.kill()
        await client.wait()
    await _photograph(made["office"])
    if wrong := what_is_wrong(cut, whole):
        raise ServiceError(f"the answer is not whole: {wrong}")
    return 0


async def _cut(client: asyncio.subprocess.Process, cut: Answer, made: dict[str, Machine]) -> float:
    """Show an answer as it comes and kill who gives it; return when, in monotonic seconds."""
    killed_s = 0.0
    console.print("   ", end="")
    async for text in _streamed(client, cut):
        console.print(text, end="", soft_wrap=True, style="green" if killed_s else "cyan")
        if not killed_s and len(cut.text) >= CUT_AFTER:
            killed_s = time.monotonic()
            made[cut.node].kill()
            console.print(f" [{cut.node} is killed] ", end="", soft_wrap=True, style="bold red")
    console.print()
    if len(cut.givers) > 1:
        first, last = cut.givers[0], cut.givers[-1]
        given = first["usage"]["completion_tokens"]
        console.print(f"   [{last['node_name']} went on after token {given}]", style="bold green")
    console.print()
    return killed_s


async def _streamed(client: asyncio.subprocess.Process, answer: Answer) -> AsyncIterator[str]:
    """Let the client ask, and yield the text as it comes, until ``answer`` is complete.

    Raises:
        ServiceError: the client failed, and has said why.
    """
    assert client.stdin is not None
    assert client.stdout is not None
    client.stdin.write(f"{PROMPT}\n".encode())
    while answer.receipt is None:
        try:
            line = await asyncio.wait_for(client.stdout.readline(), PAUSE_MAX_S)
        except TimeoutError:
            raise ServiceError(f"the client heard nothing for {PAUSE_MAX_S:.0f} s") from None
        if not line:
            raise ServiceError("the client got no whole answer", hint="it says above why")
        answer.take(told := json.loads(line))
        if "text" in told:
            yield told["text"]


def _show_receipt(cut: Answer, whole: Answer) -> None:
    console.print("3. The receipt that came with it:\n")
    for attempt in cut.attempts:
        tokens = attempt["usage"]["completion_tokens"]
        outcome = attempt["outcome"].replace("_", " ")
        console.print(
            f"   {attempt['node_name']}: {outcome}, {tokens} tokens in"
            f" {seconds(attempt['duration_s'])}"
        )
    receipt = cut.receipt or {}
    changed = receipt.get("numerics_changed_at_token", 0)
    console.print(f"   numerics changed: {f'at token {changed}' if changed else 'no'}")
    console.print(f"   why: {receipt.get('why', '')}", soft_wrap=True)
    lost = whole.tokens - cut.tokens
    console.print(f"\n   tokens lost: {max(lost, 0)}, repeated: {max(-lost, 0)}")
    console.print(f"   identical to the undisturbed text: {_yes(cut.text == whole.text)}")


async def _photograph(office: Machine) -> None:
    """Take a picture of the page; a machine without chromium goes without."""
    if find_chromium() is None:
        console.print(f"\nNo picture of the page: {LACKING}")
        return
    PICTURE.parent.mkdir(exist_ok=True)
    process = await asyncio.create_subprocess_exec(
        *office.command("scripts.browser", office.door, str(PICTURE)),
        env=office.program_environment,
    )
    if await process.wait():
        console.print("\nNo picture of the page: chromium failed, and says above why")
        return
    console.print(f"\nThe page shows the jump: {PICTURE.relative_to(ROOT)}")


def _yes(fact: bool) -> str:
    return "yes" if fact else "no"


if __name__ == "__main__":
    sys.exit(main())
