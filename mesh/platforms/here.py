"""The platform that this process runs on."""

import sys

from mesh.platforms.platform import Platform


def platform_of(system: str) -> Platform:
    """Return the one that ``sys.platform`` calls ``system``; what is unknown is taken for a Linux.

    FreeBSD and others have what Linux is asked for here, or do without. Only that one is imported:
    every process of ours asks, also those that live for a tenth of a second.
    """
    if system == "win32":
        from mesh.platforms.windows import Windows

        return Windows()
    if system == "darwin":
        from mesh.platforms.macos import MacOS

        return MacOS()
    from mesh.platforms.linux import Linux

    return Linux()


HERE = platform_of(sys.platform)
