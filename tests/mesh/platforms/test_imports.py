"""Every module can be imported where a system lacks what Linux has."""

import subprocess
import sys

import pytest

# What others' packages have chosen by the platform is theirs: they are imported before it is
# another one. Then all modules of ours are imported anew.
_PROGRAM = """
import importlib, os, pkgutil, signal, sys

import coordinator, mesh, node_agent

def names():
    for package in (coordinator, mesh, node_agent):
        for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if not found.name.endswith("__main__") and ".migrations" not in found.name:
                yield found.name

everything = list(names())
for name in everything:
    importlib.import_module(name)
for name in everything:
    if not name.startswith("mesh.v1"):  # generated, and registered once
        sys.modules.pop(name, None)
sys.platform = sys.argv[1]
for module, *attributes in (line.split() for line in sys.argv[2].splitlines() if line):
    if not attributes:
        sys.modules[module] = None
    for attribute in attributes:
        getattr(sys.modules[module], attribute)  # there was something to take
        delattr(sys.modules[module], attribute)
for name in everything:
    try:
        importlib.import_module(name)
    except Exception as failure:
        print(f"{name}: {failure!r}")
from mesh.platforms.here import HERE
print(HERE.name)
"""

_NOT_ON_WINDOWS = """
fcntl
resource
pwd
grp
termios
tty
pty
os O_CLOEXEC O_NOFOLLOW O_NONBLOCK O_DIRECTORY getuid geteuid getgid getsid setsid killpg nice
os fork forkpty getloadavg sched_getaffinity uname statvfs mkfifo pread pwrite posix_spawn
signal SIGKILL SIGBUS SIGHUP SIGPROF SIGUSR1 SIGUSR2 SIGALRM SIGCHLD SIGPIPE SIGQUIT SIGSTOP
signal SIGCONT setitimer ITIMER_PROF pthread_sigmask
"""
_NOT_ON_MACOS = """
os sched_getaffinity posix_fadvise
"""


@pytest.mark.parametrize(
    ("system", "lacks", "name"),
    [("win32", _NOT_ON_WINDOWS, "Windows"), ("darwin", _NOT_ON_MACOS, "macOS")],
)
def test_all_is_imported_where_the_system_is_another_one(
    system: str, lacks: str, name: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, system, lacks], capture_output=True, text=True, check=False
    )
    assert (done.stdout.splitlines(), done.returncode) == ([name], 0), done.stderr
