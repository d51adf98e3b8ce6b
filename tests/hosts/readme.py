"""The commands of README.md, as each of its readers is told to type them."""

import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.hosts.host import Host
from tests.whole.machine import ROOT, Result, Running

README = ROOT / "README.md"
BLOCK = re.compile(r"^```sh (\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
STAYS = "leave it running"  # what README says of a command that does not end
BESIDE_PYTHON = Path(sys.executable).parent  # where an installation puts ``deskmesh``


@dataclass(frozen=True, slots=True)
class Command:
    """One command, and what README remarks on it."""

    text: str
    remark: str

    @property
    def stays(self) -> bool:
        return STAYS in self.remark


def commands(reader: str) -> list[Command]:
    """Return what ``reader`` is told to type, in order."""
    blocks = [block for who, block in BLOCK.findall(README.read_text()) if who == reader]
    assert blocks, f"README.md tells a {reader} nothing"
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    found = [line.partition("  # ") for line in lines if line.strip()]
    return [Command(text.strip(), remark.strip()) for text, _, remark in found]


@dataclass(slots=True)
class Reader:
    """Somebody at a host, who types what README says into shells there."""

    host: Host
    code: str = ""  # the join code that somebody gave them
    exported: str = ""  # what their shell keeps from one command to the next
    left_running: list[Running] = field(default_factory=list)
    _open: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def types(self, command: Command) -> Result | None:
        """Carry out one command; one that stays is returned from once it runs."""
        typed = re.sub(r"\bCODE\b", self.code, command.text)
        if typed.startswith("export "):
            self.exported += f"{typed}; "
            return None
        shell = ("bash", "-c", f"{self.exported}exec {typed}")
        if not command.stays:
            return await self.host.run_program(*shell)
        running = await self._open.enter_async_context(self.host.running_program(*shell))
        self.left_running.append(running)
        return None


@asynccontextmanager
async def reading(host: Host, code: str = "") -> AsyncIterator[Reader]:
    """Have a reader at ``host``; what they left running ends with the context."""
    host.settings["PATH"] = f"{BESIDE_PYTHON}{os.pathsep}{os.environ['PATH']}"
    reader = Reader(host, code)
    async with reader._open:
        yield reader
