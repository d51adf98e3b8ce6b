"""What Linux and macOS share: signals, descriptors, permission bits and resource limits."""

import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType, MappingProxyType
from typing import IO, Any, NoReturn

from mesh.platforms.platform import Elsewhere, Ended, Ending, OutOfTime, SocketPassed

_ENDED = {
    "SIGKILL": Ended.KILLED,
    "SIGSEGV": Ended.BAD_MEMORY,
    "SIGBUS": Ended.LOST_FILE,
    "SIGILL": Ended.BAD_INSTRUCTION,
    "SIGABRT": Ended.ABORTED,
}


class PosixFiles:
    """See ``Files``."""

    open_flags = getattr(os, "O_CLOEXEC", 0)

    def lock(self, descriptor: int) -> None:
        if sys.platform == "win32":
            raise Elsewhere
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def remove_locked(self, descriptor: int, path: Path) -> None:
        path.unlink(missing_ok=True)  # first: whoever locks it after us finds that it is gone
        os.close(descriptor)

    def sync_folder(self, folder: Path) -> None:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def open_to_others(self, status: os.stat_result, forbidden: int) -> int:
        return status.st_mode & forbidden

    def open_plain(self, path: Path) -> int:
        if sys.platform == "win32":
            raise Elsewhere
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)


class PosixSignals:
    """See ``Signals``."""

    apart: Mapping[str, Any] = MappingProxyType({"start_new_session": True})
    environment_needed: frozenset[str] = frozenset()

    def user_id(self) -> int:
        if sys.platform == "win32":
            raise Elsewhere
        return os.getuid()

    def hear_stop(self, stop: Callable[[], None]) -> None:
        import asyncio  # late: most children of ours do without, and start twice as fast

        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop)

    async def hear_end_of_input(self, ended: Callable[[], None]) -> None:
        import asyncio

        class Watch(asyncio.Protocol):
            def connection_lost(self, failure: Exception | None) -> None:
                ended()

        await asyncio.get_running_loop().connect_read_pipe(Watch, sys.stdin)

    async def hear_sleep(
        self, sleeps: Callable[[], Awaitable[None]], wakes: Callable[[], None]
    ) -> str:
        return f"it is not listened for on {sys.platform}"

    def become(self, command: Sequence[str], environment: Mapping[str, str]) -> NoReturn:
        os.execve(command[0], list(command), environment)  # noqa: S606 - the caller's own words

    def kill(self, pid: int) -> None:
        if sys.platform == "win32":
            raise Elsewhere
        os.kill(pid, signal.SIGKILL)

    def kill_group(self, pid: int) -> None:
        if sys.platform == "win32":
            raise Elsewhere
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)

    def ending(self, code: int) -> Ending | None:
        if code >= 0:
            return None
        try:
            name = signal.Signals(-code).name
        except ValueError:
            return Ending(f"signal {-code}", Ended.OTHER)
        return Ending(name, _ENDED.get(name, Ended.OTHER))

    def pass_socket(self, theirs: socket.socket) -> SocketPassed:
        return SocketPassed(str(theirs.fileno()), {"pass_fds": [theirs.fileno()]})

    def socket_share(self, theirs: socket.socket, pid: int) -> bytes:
        return b""

    def inherited_socket(self, word: str) -> socket.socket:
        return socket.socket(fileno=int(word))


class PosixLimits:
    """See ``Limits``."""

    def step_back(self, niceness: int) -> None:
        if sys.platform == "win32":
            raise Elsewhere
        os.nice(niceness)

    def step_far_back(self) -> None:
        self.step_back(19)

    def end_with_parent(self) -> None:
        """Nothing here: the end of the parent's socket or pipe has to do."""

    def leave_no_dump(self) -> None:
        if sys.platform == "win32":
            raise Elsewhere
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def limit_data(self, limit_bytes: int, reserve_bytes: int) -> None:
        """As RLIMIT_DATA: RLIMIT_AS would count a mapped model as well.

        macOS accepts it without enforcing it.
        """
        if sys.platform == "win32":
            raise Elsewhere
        import resource

        allowed_bytes = resource.getrlimit(resource.RLIMIT_DATA)[1]
        if allowed_bytes == resource.RLIM_INFINITY or allowed_bytes > limit_bytes + reserve_bytes:
            resource.setrlimit(resource.RLIMIT_DATA, (limit_bytes, limit_bytes + reserve_bytes))

    def free_reserve(self) -> None:
        if sys.platform == "win32":
            raise Elsewhere
        import resource

        hard_bytes = resource.getrlimit(resource.RLIMIT_DATA)[1]
        resource.setrlimit(resource.RLIMIT_DATA, (hard_bytes, hard_bytes))

    def limit_trial(self, memory_bytes: int, stack_bytes: int) -> None:
        if sys.platform == "win32":
            raise Elsewhere
        import resource

        for limit, most in (
            (resource.RLIMIT_AS, memory_bytes),
            (resource.RLIMIT_STACK, stack_bytes),
            (resource.RLIMIT_CORE, 0),
        ):
            with suppress(ValueError, OSError):  # one that this system does not take
                resource.setrlimit(limit, (most, most))

    def limit_processor(self, until_s: int) -> None:
        if sys.platform == "win32":
            raise Elsewhere
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (until_s, resource.RLIM_INFINITY))

    @contextmanager
    def time_limit(self, limit_s: float) -> Iterator[None]:
        """Of this thread's processor time, by a signal."""
        if sys.platform == "win32":
            raise Elsewhere
        until_s = time.thread_time() + limit_s

        def overrun(_: int, __: FrameType | None) -> None:
            if sys.platform == "win32":
                raise Elsewhere
            # The timer counts every thread of the process, and others may compute as well.
            left_s = until_s - time.thread_time()
            if left_s <= 0:
                raise OutOfTime
            signal.setitimer(signal.ITIMER_PROF, left_s)

        previous = signal.signal(signal.SIGPROF, overrun)
        signal.setitimer(signal.ITIMER_PROF, limit_s)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.signal(signal.SIGPROF, previous)

    def line_within(self, stream: IO[bytes], limit_s: float) -> bytes:
        with selectors.DefaultSelector() as selector:
            selector.register(stream, selectors.EVENT_READ)
            return stream.readline() if selector.select(limit_s) else b""

    def raise_descriptor_limit(self, wanted: Iterator[int]) -> int | None:
        if sys.platform == "win32":
            raise Elsewhere
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        for each in wanted:
            asked = each if hard == resource.RLIM_INFINITY else min(each, hard)
            if soft == resource.RLIM_INFINITY or soft >= asked:
                break
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (asked, hard))
            except (ValueError, OSError):
                continue
            soft = asked
        return None if soft == resource.RLIM_INFINITY else soft
