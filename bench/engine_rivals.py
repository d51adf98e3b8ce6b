"""Whom our engine is held against: llama.cpp's server in each of its settings, and
llama-cpp-python's.
"""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from bench.chat_stream import chat_stream
from bench.engine_sides import Piece, Served
from bench.llama_server import SYSTEM
from bench.played_mesh import free_port
from mesh.core.chat import Message
from mesh.errors import MeshError
from node_agent.engine.prerequisites import physical_cores

_START_WITHIN_S = 60.0  # half a gigabyte from a cold disk, on a busy machine
_STOP_WITHIN_S = 5.0
_AS_IT_COMES = -1
_PACKAGES = ("xllamacpp", "fastapi", "sse_starlette", "starlette_context")


@dataclass(frozen=True, slots=True)
class LlamaServer:
    """llama.cpp's server with one static setting; the defaults are as it comes."""

    name: str = "llama.cpp as it comes"
    threads: int = _AS_IT_COMES
    poll: int = _AS_IT_COMES  # 0: waiting threads sleep, 100: they spin
    wait_policy: str = ""  # of OpenMP

    @asynccontextmanager
    async def serving(
        self, model: Path, *, slots: int, context_tokens: int
    ) -> AsyncIterator[Served]:
        listening = self.listening(model, slots=slots, context_tokens=context_tokens)
        async with listening as (address, pid):
            yield _OverHttp(address, pid)

    @asynccontextmanager
    async def listening(
        self, model: Path, *, slots: int, context_tokens: int
    ) -> AsyncIterator[tuple[str, int]]:
        """Serve ``model`` while the context is open, at an address such as http://127.0.0.1:8000,
        from the process of the id beside it.
        """
        given = (model, slots, context_tokens, self.threads, self.poll)
        command = ("bench.llama_server", *map(str, given))
        variables = {"OMP_WAIT_POLICY": self.wait_policy} if self.wait_policy else {}
        async with _running(command, variables) as process:
            assert process.stdout
            async with asyncio.timeout(_START_WITHIN_S):
                address = (await process.stdout.readline()).decode().strip()
            if not address:
                raise MeshError("llama.cpp's server did not start", hint="run it by itself")
            yield address, process.pid


@dataclass(frozen=True, slots=True)
class LlamaCppPython:
    """llama-cpp-python's own server, which serves one request at a time.

    With our number of threads: its own would be half. And it finishes what it began: as it comes,
    a new request breaks the running answer off.
    """

    name: str = "llama-cpp-python"

    @asynccontextmanager
    async def serving(
        self, model: Path, *, slots: int, context_tokens: int
    ) -> AsyncIterator[Served]:
        async with self.listening(model, context_tokens=context_tokens) as (address, pid):
            yield _OverHttp(address, pid)

    @asynccontextmanager
    async def listening(
        self, model: Path, *, context_tokens: int
    ) -> AsyncIterator[tuple[str, int]]:
        """See ``LlamaServer.listening``."""
        port, threads = free_port(), str(physical_cores())
        options = {
            "--model": str(model),
            "--n_ctx": str(context_tokens),
            "--n_threads": threads,
            "--n_threads_batch": threads,
            "--interrupt_requests": "false",
            "--host": "127.0.0.1",
            "--port": str(port),
        }
        flat = [word for pair in options.items() for word in pair]
        async with _running(("bench.tether", "llama_cpp.server", *flat), {}) as process:
            async with asyncio.timeout(_START_WITHIN_S):
                while not await _listens(port):
                    if process.returncode is not None:
                        raise MeshError("llama-cpp-python's server ended", hint="run it by itself")
                    await asyncio.sleep(0.1)
            yield f"http://127.0.0.1:{port}", process.pid


async def static_settings() -> tuple[LlamaServer, ...]:
    """Return llama.cpp's server as it comes, then in each setting that somebody might choose.

    With OpenMP, threads wait as its policy says and ``poll`` is not read; without, the reverse. One
    thread waits for nobody.
    """
    async with _running(("bench.llama_server", SYSTEM), {}) as process:
        told, _ = await process.communicate()
    every = physical_cores()
    name = f"llama.cpp, {every} threads"
    waits = (
        (
            LlamaServer(f"{name}, passive", every, wait_policy="passive"),
            LlamaServer(f"{name}, active", every, wait_policy="active"),
        )
        if b"OPENMP = 1" in told
        else (
            LlamaServer(f"{name}, poll 0", every, poll=0),
            LlamaServer(f"{name}, poll 100", every, poll=100),
        )
    )
    return (LlamaServer(), LlamaServer("llama.cpp, 1 thread", 1), *waits)


def check_rivals_installed() -> None:
    """Raise MeshError, naming what is missing."""
    if missing := [name for name in _PACKAGES if find_spec(name) is None]:
        raise MeshError(
            f"there is nobody to compare with: {', '.join(missing)} not installed",
            hint="pip install 'deskmesh[node,dev]'",
        )


class _OverHttp:
    def __init__(self, address: str, pid: int) -> None:
        self._address = address
        self.pid = pid

    def answer(
        self, messages: Sequence[Message], max_tokens: int, *, logprobs: int | None = None
    ) -> AsyncGenerator[Piece, None]:
        return chat_stream(self._address, messages, max_tokens, logprobs=logprobs)


@asynccontextmanager
async def _running(
    command: Sequence[str], variables: Mapping[str, str]
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run ``python -m command``; it ends when its stdin does."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        *command,
        env=os.environ | variables,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        assert process.stdin
        process.stdin.close()
        try:
            async with asyncio.timeout(_STOP_WITHIN_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
