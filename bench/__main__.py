"""``python -m bench NAME``."""

import argparse
import asyncio
import logging
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from bench import engine, idle, ledger, page, relay, routing, warm
from bench.result import Figures, print_result

BENCHES: dict[str, Callable[[bool], Coroutine[Any, Any, Figures]]] = {
    "engine": engine.measure,
    "idle": idle.measure,
    "ledger": ledger.measure,
    "page": page.measure,
    "relay": relay.measure,
    "routing": routing.measure,
    "warm": warm.measure,
}


def main() -> int:
    """Run one benchmark; 2 for an unknown name."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("name", choices=sorted(BENCHES), help="which benchmark to run")
    parser.add_argument("--short", action="store_true", help="a quick look, with more noise")
    given = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    print_result(given.name, asyncio.run(BENCHES[given.name](given.short)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
