"""Windows: no signals to speak of, no permission bits, sockets passed by hand, scheduled tasks.

Written by the documents of Windows and of Python, and never run there: what is pure is tested, the
rest is checked against the types that Python has on Windows.
"""

import asyncio
import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, NoReturn
from xml.sax.saxutils import escape

from mesh.platforms.interrupting import interrupted_after
from mesh.platforms.platform import Elsewhere, Ended, Ending, SocketPassed
from mesh.platforms.service import LABEL, Service, ServiceSteps, Step

_O_BINARY, _O_NOINHERIT = 0x8000, 0x0080  # fcntl.h
_CREATE_NEW_PROCESS_GROUP = 0x200  # winbase.h
_LOCKED_AT = 1 << 30  # a byte that no file of ours has: a locked one cannot even be read
_FROM_INPUT = "stdin"  # the word for a socket that comes through standard input
_NICENESS_IDLE = 15  # from here on a process works only where nobody else does

# ntstatus.h; ``abort`` ends with 3, or as a fail-fast.
_ENDINGS = {
    0xC0000005: Ending("an access violation", Ended.BAD_MEMORY),
    0xC0000006: Ending("an in-page error", Ended.LOST_FILE),
    0xC000001D: Ending("an illegal instruction", Ended.BAD_INSTRUCTION),
    0xC00000FD: Ending("a stack overflow", Ended.BAD_MEMORY),
    0xC0000409: Ending("a fail-fast", Ended.ABORTED),
    0xC000013A: Ending("Ctrl-C", Ended.KILLED),
}
_FAILED_FROM = 0xC0000000  # NTSTATUS values of severity "error"


class Windows:
    """See ``Platform``."""

    name = "Windows"
    open_flags = _O_BINARY | _O_NOINHERIT
    apart: Mapping[str, Any] = MappingProxyType({"creationflags": _CREATE_NEW_PROCESS_GROUP})
    # Without the first no socket and no random number is to be had; the others name folders.
    environment_needed = frozenset(
        {"SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "TEMP"}
    )

    def lock(self, descriptor: int) -> None:
        if sys.platform != "win32":
            raise Elsewhere
        import msvcrt

        os.lseek(descriptor, _LOCKED_AT, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError as failure:
            raise BlockingIOError(failure.errno, "locked by another process") from None
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)

    def remove_locked(self, descriptor: int, path: Path) -> None:
        os.close(descriptor)  # first: an open file cannot be removed here
        with suppress(OSError):  # another process has it open by now, and may hold it
            path.unlink()

    def sync_folder(self, folder: Path) -> None:
        """Nothing here: folders cannot be opened, and NTFS keeps a journal of names."""

    def open_to_others(self, status: os.stat_result, forbidden: int) -> int:
        """None to see: modes are made up here, and a profile's files are its owner's by its ACL."""
        return 0

    def open_plain(self, path: Path) -> int:
        if path.is_symlink():
            raise OSError(f"{path.name} is a link")
        return os.open(path, os.O_RDONLY | self.open_flags)

    def llama_cpp_cache(self, user: Path, environment: Mapping[str, str]) -> Path:
        local = environment.get("LOCALAPPDATA")
        return Path(local or user / "AppData" / "Local") / "llama.cpp"

    def hear_stop(self, stop: Callable[[], None]) -> None:
        if sys.platform != "win32":
            raise Elsewhere
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGBREAK):
            signal.signal(number, lambda _number, _frame: loop.call_soon_threadsafe(stop))

    async def hear_end_of_input(self, ended: Callable[[], None]) -> None:
        """By a thread: the event loop takes only pipes that were opened for it."""
        loop = asyncio.get_running_loop()

        def read() -> None:
            while os.read(0, 1024):
                pass
            with suppress(RuntimeError):  # the loop is closed: nobody wants to know any more
                loop.call_soon_threadsafe(ended)

        threading.Thread(target=read, name="end of input", daemon=True).start()

    async def hear_sleep(
        self, sleeps: Callable[[], Awaitable[None]], wakes: Callable[[], None]
    ) -> str:
        return "it is not listened for on Windows"

    def become(self, command: Sequence[str], environment: Mapping[str, str]) -> NoReturn:
        """As a child of ours: a process cannot be replaced here without its shell going on."""
        with subprocess.Popen(command, env=dict(environment)) as child:  # noqa: S603 - the caller's words
            while True:
                with suppress(KeyboardInterrupt):  # it has heard of Ctrl-C itself
                    sys.exit(child.wait())

    def kill(self, pid: int) -> None:
        try:
            os.kill(pid, signal.SIGTERM)  # TerminateProcess
        except PermissionError:  # so it says of one that has ended
            raise ProcessLookupError(pid) from None

    def kill_group(self, pid: int) -> None:
        import psutil

        with suppress(psutil.Error):
            process = psutil.Process(pid)
            for each in (*process.children(recursive=True), process):
                with suppress(psutil.Error):
                    each.kill()

    def ending(self, code: int) -> Ending | None:
        status = code & 0xFFFFFFFF
        if status < _FAILED_FROM:
            return None
        return _ENDINGS.get(status, Ending(f"status 0x{status:08X}", Ended.OTHER))

    def pass_socket(self, theirs: socket.socket) -> SocketPassed:
        return SocketPassed(_FROM_INPUT, {"stdin": subprocess.PIPE})

    def socket_share(self, theirs: socket.socket, pid: int) -> bytes:
        if sys.platform != "win32":
            raise Elsewhere
        return theirs.share(pid)

    def inherited_socket(self, word: str) -> socket.socket:
        if sys.platform != "win32":
            raise Elsewhere
        assert word == _FROM_INPUT
        return socket.fromshare(sys.stdin.buffer.read())

    def step_back(self, niceness: int) -> None:
        if sys.platform != "win32":
            raise Elsewhere
        import psutil

        idle = niceness >= _NICENESS_IDLE
        priority = psutil.IDLE_PRIORITY_CLASS if idle else psutil.BELOW_NORMAL_PRIORITY_CLASS
        psutil.Process().nice(priority)

    def step_far_back(self) -> None:
        if sys.platform != "win32":
            raise Elsewhere
        import psutil

        self.step_back(_NICENESS_IDLE)
        psutil.Process().ionice(psutil.IOPRIO_VERYLOW)

    def end_with_parent(self) -> None:
        """Nothing here: the end of the parent's socket or pipe has to do."""

    def leave_no_dump(self) -> None:
        """Have Windows Error Reporting keep nothing of this process."""
        if sys.platform != "win32":
            raise Elsewhere
        no_fault_box = 0x0002 | 0x0001  # SEM_NOGPFAULTERRORBOX, SEM_FAILCRITICALERRORS
        ctypes.windll.kernel32.SetErrorMode(no_fault_box)

    def limit_data(self, limit_bytes: int, reserve_bytes: int) -> None:
        """Nothing here: the parent's time limit has to do."""

    def free_reserve(self) -> None:
        """Nothing was kept back."""

    def limit_trial(self, memory_bytes: int, stack_bytes: int) -> None:
        """Nothing here: whoever waits ends it when its time is up."""

    def limit_processor(self, until_s: int) -> None:
        """Nothing here, as above."""

    def time_limit(self, limit_s: float) -> AbstractContextManager[None]:
        """Of time as clocks tell it: no timer counts a thread's own."""
        return interrupted_after(limit_s)

    def line_within(self, stream: IO[bytes], limit_s: float) -> bytes:
        """By a thread: pipes cannot be waited for here. It ends with the pipe."""
        lines: list[bytes] = []
        reader = threading.Thread(target=lambda: lines.append(stream.readline()), daemon=True)
        reader.start()
        reader.join(limit_s)
        return lines[0] if lines else b""

    def raise_descriptor_limit(self, wanted: Iterator[int]) -> int | None:
        return None

    def user_id(self) -> int:
        return 0

    def service(self, service: Service) -> ServiceSteps:
        """A task at log-in, see the Task Scheduler's schema; ``schtasks`` reads it from a file."""
        file = service.log.with_name(f"{LABEL}-task.xml")
        return ServiceSteps(
            file=file,
            text=_task(service),
            install=(
                Step(("schtasks", "/Create", "/TN", LABEL, "/XML", str(file), "/F")),
                Step(("schtasks", "/Run", "/TN", LABEL)),
            ),
            remove=(
                Step(("schtasks", "/End", "/TN", LABEL), may_fail=True),
                Step(("schtasks", "/Delete", "/TN", LABEL, "/F"), may_fail=True),
            ),
            status=Step(("schtasks", "/Query", "/TN", LABEL)),
            log_hint=f'type "{service.log}"',
            note="it runs while you are logged in",
            encoding="utf-16",  # as Task Scheduler's own files
        )


def _task(service: Service) -> str:
    """Return the task: without a time limit, on battery too (the agent itself minds that).

    A task has no environment of its own and no log, so a command line gives it both.
    """
    variables = [f'set "{name}={value}"' for name, value in service.environment.items()]
    program = subprocess.list2cmdline(service.command)
    line = " && ".join([*variables, f'{program} >> "{service.log}" 2>&1'])
    domain, name = (service.caller.get(each, "") for each in ("USERDOMAIN", "USERNAME"))
    user = f"<UserId>{escape(domain + chr(92) + name if domain else name)}</UserId>"
    arguments = escape(f'/d /s /c "{line}"')
    return (
        '<?xml version="1.0" encoding="UTF-16"?>\n'
        '<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">\n'
        f"  <Triggers><LogonTrigger>{user}</LogonTrigger></Triggers>\n"
        '  <Principals><Principal id="Author">\n'
        f"    {user}<LogonType>InteractiveToken</LogonType>\n"
        "  </Principal></Principals>\n"
        "  <Settings>\n"
        "    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>\n"
        "    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>\n"
        "    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>\n"
        "    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>\n"
        "    <RestartOnFailure><Interval>PT1M</Interval><Count>999</Count></RestartOnFailure>\n"
        "  </Settings>\n"
        '  <Actions Context="Author"><Exec>\n'
        "    <Command>cmd.exe</Command>\n"
        f"    <Arguments>{arguments}</Arguments>\n"
        "  </Exec></Actions>\n"
        "</Task>\n"
    )
