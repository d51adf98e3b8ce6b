"""Runs the tests in two halves, side by side: ``python -m scripts.test [pytest's options]``.

Most tests wait for processes of theirs, so one after the other they leave most of two cores idle.
The halves are whole folders, as tests of one folder share fixtures. The first one's output is shown
as it comes, the second one's once the first has ended.
"""

import subprocess
import sys
import tempfile
from collections.abc import Sequence

HALVES = (
    ("tests", "--ignore=tests/node_agent", "--ignore=tests/whole"),
    ("tests/node_agent", "tests/whole"),
)


def main(options: Sequence[str]) -> int:
    """Return 0 if both halves pass, else the exit code of one that does not."""
    pytest = (sys.executable, "-m", "pytest")
    first, second = ((*pytest, *half, *options) for half in HALVES)
    with tempfile.TemporaryFile() as told:
        beside = subprocess.Popen(second, stdout=told, stderr=subprocess.STDOUT)
        try:
            code = subprocess.run(first, check=False).returncode
            print(f"\nThe other half, {' '.join(HALVES[1])}, ran beside it:", flush=True)
            beside_code = beside.wait()
        finally:
            beside.kill()
        told.seek(0)
        sys.stdout.buffer.write(told.read())
        sys.stdout.flush()
    return code or beside_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
