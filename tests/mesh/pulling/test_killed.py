"""A pull that is killed again and again resumes each time, and what it has in the end is right."""

import hashlib
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.mesh.pulling.server import Behaviour, serving

CONTENT = random.Random(20).randbytes(24 << 20)
# Slow enough that none of the first twenty lives sees the end of it.
BYTES_PER_S = 8 << 20
CHILD = """
import sys
from pathlib import Path
from mesh.pulling.download import fetch
from mesh.pulling.pace import Pace
from mesh.pulling.partial import Partial
from mesh.pulling.source import Source
from tests.mesh.pulling.fetching import Kept
url, folder, sha256 = sys.argv[1:]
source = Source(url=url, name="tiny", origin=url, sha256=sha256)
partial = Partial.of_file(Path(folder), "tiny")
print(fetch(source, partial, Kept(), pace=Pace(checkpoint_s=0.02)).sha256)
"""
STATE = ".tiny.gguf.part.json"


@pytest.mark.parametrize("kills", [5, pytest.param(20, marks=pytest.mark.long)])
def test_kills_lose_nothing_and_the_end_is_verified(tmp_path: Path, kills: int) -> None:
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    how = Behaviour(CONTENT, bytes_per_s=BYTES_PER_S)
    with serving(how) as server:
        command = [sys.executable, "-c", CHILD, server.url, str(tmp_path), sha256]
        resumed = [_killed(command, tmp_path / STATE) for _ in range(kills)]
        how.bytes_per_s = 0
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout.strip() == sha256
    assert (tmp_path / ".tiny.gguf.part").read_bytes() == CONTENT
    assert all(resumed), "each life got further than the one before"
    ranges = [each.get("range", "") for each in how.seen]
    assert len(ranges) == kills + 1
    assert ranges[0] == ""
    assert all(ranges[1:]), "none began anew"


def _killed(command: list[str], state: Path) -> bool:
    """Let one life get a little further, and kill it in the middle of a write or between two."""
    before = state.read_bytes() if state.exists() else b""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as child:
        until_s = time.monotonic() + 20
        while (not state.exists() or state.read_bytes() == before) and time.monotonic() < until_s:
            time.sleep(0.005)
        time.sleep(random.Random(len(before) + before.count(b"1")).random() * 0.05)
        child.kill()
    return state.read_bytes() != before
