"""A reader child that a hostile file has taken over; the file's name says how it behaves."""

import json
import os
import signal
import sys
import time
from pathlib import Path


def main() -> None:
    match Path(sys.argv[-1]).stem:
        case "crashes":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "exits":
            sys.exit(3)
        case "hangs":
            say({"progress_bytes": os.getpid()})
            time.sleep(600)
        case "floods":
            while True:
                say({"progress_bytes": 1})
        case "babbles":
            sys.stdout.write("no JSON\n")
        case "drones":
            sys.stdout.write("x" * 10_000_000)
        case "lies":
            say({"description": {"sha256": "none"}})
        case "invents":
            say({"command": "rm"})
        case "tells":
            say({"rejection": {"fault": "broken", "reason": " ".join(sorted(os.environ))[:400]}})


def say(line: object) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


main()
