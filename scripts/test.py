"""Runs the tests in parts, side by side: ``python -m scripts.test [pytest's options]``.

Most tests wait for processes of theirs, so one after the other they leave most of two cores idle.
Parts are whole folders, as tests of one folder share fixtures. They stand in a queue, the longest
first, and each core takes the next one when it is free. What a part said is shown when it has
ended, and at the end one line for all of them.

A few that fail beside the others are run once more, alone, and told as unsteady if they pass then:
a race to look for, rather than a thing that is broken. They have failed all the same.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

FOLDERS = ("whole", "hosts", "mesh", "node_agent", "coordinator")
PARTS = (
    *((f"tests/{folder}",) for folder in FOLDERS),
    ("tests", *(f"--ignore=tests/{folder}" for folder in FOLDERS)),
)
SLOWEST = "--durations=10"
# Tests start some hundred processes, which compile their sources anew where nothing keeps them.
BYTECODE = Path(__file__).parents[1] / "build" / "bytecode"
# Files of tests go where nothing waits for a disk, if there is room: a coordinator's first start
# alone syncs 23 of them, 4 ms each on an SSD.
MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
ROOM_BYTES = 4 << 30  # a run leaves some 300 MB there, and holds more at its height
PASSED, FAILED, NOTHING_CHOSEN = 0, 1, 5  # pytest's exit codes
# More than these are no race: something is broken, and running them again tells nothing.
UNSTEADY_MAX = 3


@dataclass(frozen=True, slots=True)
class Result:
    """How a part ended, and all that it printed."""

    part: tuple[str, ...]
    code: int
    output: str
    took_s: float
    failed: tuple[str, ...] = ()  # the tests that did, as pytest names them

    @property
    def counts(self) -> Counter[str]:
        """How many tests passed, failed and so on, as pytest's line has it that ends a run.

        Python may have more to say after it, as it ends.
        """
        lines = re.findall(r"^(?=\d+ [a-z]+\b).* in [\d.]+s\b", self.output, re.MULTILINE)
        found = re.findall(r"(\d+) ([a-z]+)", lines[-1].rpartition(" in ")[0] if lines else "")
        return Counter({word.removesuffix("s"): int(number) for number, word in found})


def main(options: Sequence[str]) -> int:
    """Return 0 if all parts pass, else the exit code of one that does not."""
    began_s = time.monotonic()
    results = []
    print(f"{len(PARTS)} parts, {workers()} at a time: {', '.join(map(name, PARTS))}", flush=True)
    with (
        tempfile.TemporaryDirectory(prefix="deskmesh-tests-", dir=quick_folder()) as files,
        ThreadPoolExecutor(workers()) as pool,
    ):
        running = [pool.submit(run, part, options, Path(files)) for part in PARTS]
        for ended in as_completed(running):
            results.append(result := ended.result())
            print(f"\n===== {name(result.part)}\n{result.output}", flush=True)
        unsteady = tried_again(results, options, Path(files))
    print(f"\n{total(results)} in {time.monotonic() - began_s:.0f} s", flush=True)
    for test in unsteady:
        print(f"UNSTEADY {test}: failed beside the others, passed alone", flush=True)
    return exit_code(results)


def tried_again(results: Sequence[Result], options: Sequence[str], files: Path) -> tuple[str, ...]:
    """Run the few that failed once more, alone; return them if they pass, all of them."""
    failed = tuple(test for each in results for test in each.failed)
    noise = all(each.code in {PASSED, FAILED, NOTHING_CHOSEN} for each in results)
    if not (noise and 0 < len(failed) <= UNSTEADY_MAX):
        return ()
    again = run(failed, options, files)
    print(f"\n===== once more, alone\n{again.output}", flush=True)
    return failed if again.code == PASSED else ()


def run(part: tuple[str, ...], options: Sequence[str], files: Path) -> Result:
    """Run one part to its end; what its tests write goes into ``files``."""
    began_s = time.monotonic()
    cache = files / f"cache-{uuid4().hex}"
    kept = ("-o", f"cache_dir={cache}")
    command = (sys.executable, "-m", "pytest", "-q", *part, SLOWEST, *kept, *options)
    given = {**environment(os.environ), "PYTEST_DEBUG_TEMPROOT": str(files)}
    with tempfile.TemporaryFile() as told:
        code = subprocess.run(
            command, stdout=told, stderr=subprocess.STDOUT, env=given, check=False
        ).returncode
        told.seek(0)
        output = told.read().decode(errors="replace")
    return Result(part, code, output, time.monotonic() - began_s, failures(cache))


def failures(cache: Path) -> tuple[str, ...]:
    """Return the tests that failed, as pytest keeps them for its ``--last-failed``."""
    kept = cache / "v" / "cache" / "lastfailed"
    return tuple(json.loads(kept.read_bytes())) if kept.exists() else ()


def environment(outer: Mapping[str, str]) -> dict[str, str]:
    """Return what tests run in: as outside, but bytecode is kept, if need be out of the way."""
    inner = dict(outer)
    if inner.pop("PYTHONDONTWRITEBYTECODE", ""):
        inner.setdefault("PYTHONPYCACHEPREFIX", str(BYTECODE))
    return inner


def quick_folder(memory: Path = MEMORY) -> Path | None:
    """Return a folder that is held in memory and has room; None for the usual one."""
    if not (memory.is_dir() and os.access(memory, os.W_OK)):
        return None
    return memory if shutil.disk_usage(memory).free >= ROOM_BYTES else None


def workers() -> int:
    """Two, as tests wait as much as they compute, and half of the cores where there are more."""
    return min(len(PARTS), max(2, (os.cpu_count() or 2) // 2))


def name(part: tuple[str, ...]) -> str:
    return part[0] if len(part) == 1 else "the rest"


def total(results: Sequence[Result]) -> str:
    """Say in one line how each part ended, and what came of all tests."""
    parts = ", ".join(f"{name(each.part)} {each.took_s:.0f} s" for each in results)
    counts = sum((each.counts for each in results), Counter[str]())
    words = ("failed", "error", "passed", "skipped", "deselected", "xfailed", "xpassed")
    said = ", ".join(f"{counts[word]} {word}" for word in words if counts[word])
    return f"{parts}\nAll tests: {said or 'none ran'}"


def exit_code(results: Sequence[Result]) -> int:
    """Return 0 if nothing failed and something ran."""
    codes = {each.code for each in results}
    if codes == {NOTHING_CHOSEN}:
        return NOTHING_CHOSEN
    return max(codes - {NOTHING_CHOSEN}, default=PASSED, key=abs)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
