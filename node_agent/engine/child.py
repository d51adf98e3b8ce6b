"""An engine process as the agent holds it: started, listened to, and never left behind.

It is started by exec, with a bare environment and one socket. The socket is read all the time,
whether or not anyone waits for an answer, so the process never blocks on a slow reader.
Once ``dead`` is set there is no process, no zombie and no descriptor, unless the kernel itself does
not let go of the process.
"""

import asyncio
import os
import site
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self, cast

import node_agent
from mesh.platforms.here import HERE
from node_agent.engine.codec import decode_from_engine, encode
from node_agent.engine.death import exit_in_words
from node_agent.engine.frames import FrameDecoder, FrameError, encode_frame
from node_agent.engine.messages import FromEngine, ToEngine

WORKER = (sys.executable, "-P", "-m", "node_agent.engine.worker")

_EXIT_GRACE_S = 2.0  # an idle engine ends in milliseconds; a stopped or stuck one never would
_KILL_GRACE_S = 10.0  # freeing gigabytes takes a second, all else milliseconds
_LAST_FRAMES_GRACE_S = 1.0  # what a dead process wrote is in our buffers already
_LAST_WORDS_BYTES = 4096  # an assertion's message is one line

# What an engine needs to find its libraries and devices. The agent's keys are none of its business,
# so no prefix is here that keys go by, such as NVIDIA_ or LLAMA_.
_ENVIRONMENT_NAMES = frozenset(
    {
        *("PATH", "HOME", "LANG", "TMPDIR", "TMP", "TEMP", "VIRTUAL_ENV"),
        *("PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX"),
        "LLAMA_CPP_LIB_PATH",
        *("NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES"),
    }
)
_ENVIRONMENT_PREFIXES = (
    *("LC_", "LD_", "DYLD_", "GGML_", "OMP_", "GOMP_", "KMP_"),
    *("CUDA_", "HIP_", "ROCR_", "HSA_", "VK_", "MTL_"),
)
_SECRETIVE = ("KEY", "TOKEN", "SECRET", "PASSWORD")  # whatever the prefix
_ENVIRONMENT_SET = {
    "GGML_NO_BACKTRACE": "1",  # else an abort runs a debugger for a second
    "OPENBLAS_NUM_THREADS": "1",  # else numpy takes 30 MB a core for threads that we do not use
    # Threads wait for each other awake for 3000 rounds, some 80 us, then asleep. Measured on 2
    # cores (135M, Q8_0, one sequence, two threads; tokens/s) for 0, 1000, 3000 and 10,000 rounds:
    # 44, 62, 74 and 74 on a quiet machine; beside a busy process 28, 16 and 3 for 0, 1000 and
    # 10,000, until the engine has noticed and goes on with one thread, which never waits
    # (``thread_governor``).
    # "Active", because with "passive" GNU's OpenMP does not wait awake at all where a process has
    # more threads than there are cores, as ours has. LLVM's is told by a word of its own.
    "OMP_WAIT_POLICY": "active",
    "GOMP_SPINCOUNT": "3000",
    "KMP_BLOCKTIME": "0",
}


class Child(asyncio.Protocol):
    """One engine process. As a protocol it reads the engine's socket."""

    def __init__(self, hear: Callable[[FromEngine], None]) -> None:
        self.dead: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._hear = hear
        self._decoder = FrameDecoder()
        self._frames: asyncio.Transport | None = None
        self._process: asyncio.SubprocessTransport | None = None
        self._last_words = bytearray()
        self._reason = ""  # why we ended it, if we did
        self._deadline: asyncio.TimerHandle | None = None

    @classmethod
    async def spawn(
        cls,
        command: Sequence[str],
        arguments: Sequence[str],
        hear: Callable[[FromEngine], None],
    ) -> Self:
        """Start ``command`` with the descriptor of its socket and ``arguments``.

        ``hear`` gets every message that can be decoded. One that can't, or a FrameError from
        ``hear``, kills the process.

        Raises:
            OSError: no such program, or no process or descriptor is left.
        """
        loop = asyncio.get_running_loop()
        child = cls(hear)
        ours, theirs = socket.socketpair()
        with theirs:
            await loop.create_connection(lambda: child, sock=ours)
            passed = HERE.pass_socket(theirs)
            options: dict[str, Any] = {
                "stdin": asyncio.subprocess.DEVNULL,
                **passed.options,
                **HERE.apart,  # Ctrl-C is for the agent, also while an engine starts
            }
            try:
                process, _ = await loop.subprocess_exec(
                    lambda: _Process(child),
                    *command,
                    *("--descriptor", passed.word, *arguments),
                    stdout=asyncio.subprocess.DEVNULL,
                    stderr=asyncio.subprocess.PIPE,
                    env=_environment(os.environ),
                    **options,
                )
                if share := HERE.socket_share(theirs, process.get_pid()):
                    _say_and_close(process, share)
            except BaseException:
                child._close_frames()
                raise
        return child

    @property
    def pid(self) -> int:
        """The process id, 0 once it is gone."""
        return 0 if self._process is None else self._process.get_pid()

    @property
    def last_line(self) -> str:
        """What the process wrote last to standard error. Not to be shown once it saw a prompt."""
        lines = self._last_words.decode(errors="replace").split("\n")
        written = [line for line in lines if line.strip()]
        return "".join(filter(str.isprintable, written[-1]))[:200] if written else ""

    def send(self, message: ToEngine) -> None:
        """Send a message; without effect on a dead process.

        Raises:
            FrameTooLarge: it does not fit a frame.
        """
        frame = encode_frame(encode(message))
        if self._frames is not None and not self._frames.is_closing():
            self._frames.write(frame)

    def kill(self, reason: str) -> None:
        """End the process now; ``dead`` then gives ``reason``, unless it had died already."""
        if self._process is None or self._process.get_returncode() is not None:
            return
        self._reason = self._reason or reason
        # Not the transport's kill: that one may reap the process before asyncio's watcher does,
        # which then knows no exit status.
        with suppress(ProcessLookupError):
            HERE.kill(self._process.get_pid())
        self._wait_for(_KILL_GRACE_S, self._abandon)

    async def close(self, reason: str) -> None:
        """End the process, gently at first. Returns once it is gone; may be called twice."""
        self._reason = self._reason or reason
        self._close_frames()  # the engine takes the end of its socket as its own
        try:
            await asyncio.wait((self.dead,), timeout=_EXIT_GRACE_S)
        finally:
            self.kill(reason)  # also where the one who closes is cancelled
        await asyncio.shield(self.dead)

    # asyncio.Protocol: the socket.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._frames = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._reason:
            return
        try:
            for body in self._decoder.feed(data):
                self._hear(decode_from_engine(body))
        except FrameError as failure:
            self.kill(f"the engine broke the protocol and was stopped: {failure}")

    def connection_lost(self, exc: Exception | None) -> None:
        self._frames = None
        self._settle()
        if not self.dead.done() and not self._reason and self._deadline is None:
            self._wait_for(_LAST_FRAMES_GRACE_S, self.kill, "the engine stopped talking")

    # The process, told by _Process.

    def process_started(self, process: asyncio.SubprocessTransport) -> None:
        self._process = process

    def process_wrote(self, data: bytes) -> None:
        self._last_words += data
        del self._last_words[:-_LAST_WORDS_BYTES]

    def process_exited(self) -> None:
        """Wait for what it wrote last, but not for long: a child of its own may hold its pipes."""
        self._wait_for(_LAST_FRAMES_GRACE_S, self._close_everything)

    def process_gone(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            code = process.get_returncode()
            self._reason = self._reason or exit_in_words(code or 0, bytes(self._last_words))
            process.close()
        self._settle()

    def _settle(self) -> None:
        """Declare the engine dead once both its process and its socket are gone."""
        if self._process is None and self._frames is None and not self.dead.done():
            if self._deadline is not None:
                self._deadline.cancel()
            self.dead.set_result(self._reason)

    def _wait_for(self, delay_s: float, then: Callable[..., None], *arguments: str) -> None:
        """Call ``then`` unless something else happens to the process first."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = asyncio.get_running_loop().call_later(delay_s, then, *arguments)

    def _abandon(self) -> None:
        """Give up on a process that SIGKILL does not end, as it is stuck in the kernel.

        It reads a network drive that is away, say; it ends once the kernel lets go of it.
        """
        self._reason += " (its process is stuck in the kernel)"
        self._process = None
        self._close_frames()
        self._settle()

    def _close_everything(self) -> None:
        self._close_frames()
        if self._process is not None:
            self._process.close()

    def _close_frames(self) -> None:
        if self._frames is not None:
            self._frames.abort()


class _Process(asyncio.SubprocessProtocol):
    """Tells a Child of its process."""

    def __init__(self, child: Child) -> None:
        self._child = child

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._child.process_started(cast(asyncio.SubprocessTransport, transport))

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self._child.process_wrote(data)

    def process_exited(self) -> None:
        self._child.process_exited()

    def connection_lost(self, exc: Exception | None) -> None:
        self._child.process_gone()


def _say_and_close(process: asyncio.SubprocessTransport, said: bytes) -> None:
    """Write to the standard input of a process, and end it."""
    pipe = cast(asyncio.WriteTransport, process.get_pipe_transport(0))
    pipe.write(said)
    pipe.close()


def _environment(ours: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of an engine, in which this very code can be imported."""
    names = _ENVIRONMENT_NAMES | HERE.environment_needed
    kept = {
        name: value
        for name, value in ours.items()
        if (name in names or name.startswith(_ENVIRONMENT_PREFIXES))
        and not any(word in name for word in _SECRETIVE)
    }
    root = str(Path(node_agent.__file__).parents[1])
    if root not in (*site.getsitepackages(), site.getusersitepackages()):
        kept["PYTHONPATH"] = os.pathsep.join(filter(None, (root, kept.get("PYTHONPATH"))))
    return kept | _ENVIRONMENT_SET
