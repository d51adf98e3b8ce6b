"""The engine's place behind the owner's work."""

import os
from contextlib import suppress
from pathlib import Path

NICENESS = 5  # a busy program beside us keeps three quarters of a core that we both want

_AUTOGROUP = Path("/proc/self/autogroup")


def step_back(niceness: int) -> None:
    """Lower this process's priority, as nice(1) does, against all that runs on the machine.

    Linux shares processors among sessions first, where autogroups are on, as most desktops have
    them: there a nice process still gets as much as the owner's whole session (measured: half of
    each core beside a busy program). So our session, which holds nothing else, steps back as well.
    """
    os.nice(niceness)
    if os.getsid(0) == os.getpid():
        with suppress(OSError):  # no such thing here, or not for us
            _AUTOGROUP.write_text(str(niceness))
