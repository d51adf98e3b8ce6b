"""Which GPUs this machine has, found without any library of theirs, and whether they are used.

``gpu`` says what one is, ``nvidia``, ``pci`` and ``apple`` read what a platform tells of them,
``look`` asks them all, and ``unused`` judges what the installed engine makes of it.
"""
