"""The platform that this process runs on."""

import sys

from mesh.platforms.linux import Linux
from mesh.platforms.macos import MacOS
from mesh.platforms.platform import Platform
from mesh.platforms.windows import Windows


def platform_of(system: str) -> Platform:
    """Return the one that ``sys.platform`` calls ``system``; what is unknown is taken for a Linux.

    FreeBSD and others have what Linux is asked for here, or do without.
    """
    if system == "win32":
        return Windows()
    return MacOS() if system == "darwin" else Linux()


HERE = platform_of(sys.platform)
