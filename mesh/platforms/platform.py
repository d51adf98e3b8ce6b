"""What deskmesh asks of an operating system. Each one answers in a module of its own."""

import os
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO, Any, NoReturn, Protocol

from mesh.platforms.service import Service, ServiceSteps


class OutOfTime(Exception):
    """A block computed for longer than it may."""


class Elsewhere(RuntimeError):
    """What only one platform has was called on another: our mistake, as each has its own module.

    Functions raise it before they use what Python lacks elsewhere. So type checkers read each of
    them for its own platform, and every module can be imported and tested on any.
    """


class Ended(StrEnum):
    """What ended a process, where it did not end by itself."""

    KILLED = "killed"
    BAD_MEMORY = "bad memory"  # it used memory that is not its own
    LOST_FILE = "lost file"  # a file in its memory changed, or went
    BAD_INSTRUCTION = "bad instruction"
    ABORTED = "aborted"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Ending:
    """How a process ended that did not end by itself."""

    name: str  # as the system's own tools show it
    how: Ended


@dataclass(frozen=True, slots=True)
class SocketPassed:
    """How a child process is to come by a socket of ours."""

    word: str  # for its command line; ``inherited_socket`` takes it there
    options: Mapping[str, Any]  # of ``subprocess.Popen``, for its start


class Files(Protocol):
    """Locks, and files for their owner alone."""

    @property
    def open_flags(self) -> int:
        """What every ``os.open`` of ours adds: not inherited, and bytes as they are."""
        ...

    def lock(self, descriptor: int) -> None:
        """Hold an open file until it is closed, or this process ends.

        Raises:
            BlockingIOError: another process holds it.
        """
        ...

    def remove_locked(self, descriptor: int, path: Path) -> None:
        """Close a file that we hold, and remove it, unless another process has it by then."""
        ...

    def sync_folder(self, folder: Path) -> None:
        """Put the names in ``folder`` on disk, so that a rename survives a power cut."""
        ...

    def open_to_others(self, status: os.stat_result, forbidden: int) -> int:
        """Return which ``forbidden`` permission bits a file has; 0 where they say nothing."""
        ...

    def open_plain(self, path: Path) -> int:
        """Open a file to read it; never wait for a pipe, nor follow a link.

        Raises:
            OSError: it is a link, or cannot be opened.
        """
        ...

    def llama_cpp_cache(self, user: Path, environment: Mapping[str, str]) -> Path:
        """Return where llama.cpp keeps downloads for the user whose home that is."""
        ...


class Signals(Protocol):
    """Being stopped, stopping others, and what became of them."""

    @property
    def apart(self) -> Mapping[str, Any]:
        """Options of ``subprocess.Popen``: Ctrl-C comes to us alone, ``kill_group`` ends all."""
        ...

    @property
    def environment_needed(self) -> frozenset[str]:
        """Names of what a Python process cannot do without here, beyond its path."""
        ...

    def hear_stop(self, stop: Callable[[], None]) -> None:
        """Have the running event loop call ``stop`` each time this process is asked to stop."""
        ...

    async def hear_end_of_input(self, ended: Callable[[], None]) -> None:
        """Have the running event loop call ``ended`` once standard input ends."""
        ...

    async def hear_sleep(
        self, sleeps: Callable[[], Awaitable[None]], wakes: Callable[[], None]
    ) -> str:
        """Await ``sleeps`` before each sleep of this machine and call ``wakes`` after it, for ever.

        Return why, where the system announces none.
        """
        ...

    def become(self, command: Sequence[str], environment: Mapping[str, str]) -> NoReturn:
        """Go on as ``command``, whose first word is a path: its exit code is then ours."""
        ...

    def kill(self, pid: int) -> None:
        """End a process at once; ProcessLookupError: there is none such."""
        ...

    def kill_group(self, pid: int) -> None:
        """End a process that was started ``apart`` at once, with all that it started."""
        ...

    def ending(self, code: int) -> Ending | None:
        """Read an exit code as ``subprocess`` has it; None: the process ended by itself."""
        ...

    def pass_socket(self, theirs: socket.socket) -> SocketPassed:
        """Prepare to give a socket to a child that is about to be started."""
        ...

    def socket_share(self, theirs: socket.socket, pid: int) -> bytes:
        """Return what the started child must read from its standard input; b"": nothing."""
        ...

    def inherited_socket(self, word: str) -> socket.socket:
        """Return, in the child, the socket that it was given."""
        ...


class Limits(Protocol):
    """What a process of ours takes no more of than it should."""

    def step_back(self, niceness: int) -> None:
        """Let the owner's programs go first, as much as nice(1) means by ``niceness``."""
        ...

    def step_far_back(self) -> None:
        """Work only where nobody else wants the processor or, where one can say so, the disk."""
        ...

    def end_with_parent(self) -> None:
        """Be ended with the process that started this one, however stuck, where one can."""
        ...

    def leave_no_dump(self) -> None:
        """Write no memory dump: it would hold prompts, and weights besides."""
        ...

    def limit_data(self, limit_bytes: int, reserve_bytes: int) -> None:
        """Bound what this process allocates, and keep a reserve back, where the system can."""
        ...

    def free_reserve(self) -> None:
        """Allow the reserve as well: what is to be said once memory ran out takes some, too."""
        ...

    def limit_trial(self, memory_bytes: int, stack_bytes: int) -> None:
        """Bound the whole process that tries something out, where the system can."""
        ...

    def limit_processor(self, until_s: int) -> None:
        """End this process once it has computed for ``until_s`` in all, where the system can."""
        ...

    def time_limit(self, limit_s: float) -> AbstractContextManager[None]:
        """Raise OutOfTime in a block of the main thread's that has computed for ``limit_s``."""
        ...

    def line_within(self, stream: IO[bytes], limit_s: float) -> bytes:
        """Return a line from a pipe; what there is, where none comes in time or it ends."""
        ...

    def raise_descriptor_limit(self, wanted: Iterator[int]) -> int | None:
        """Ask for as many open files as the first of ``wanted`` that is granted; None: no limit."""
        ...


class Platform(Files, Signals, Limits, Protocol):
    """All of it."""

    @property
    def name(self) -> str:
        """As its makers write it."""
        ...

    def user_id(self) -> int:
        """Return the number of the user whose process this is; 0 where people have none."""
        ...

    def service(self, service: Service) -> ServiceSteps:
        """Return how a program is run whenever its owner is logged in. Pure."""
        ...
