"""``python -m bench NAME``."""

import argparse
import asyncio
import logging
import sys
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from bench import engine, failover, fleet, idle, ledger, page, relay, routing, warm
from bench.result import Figures, print_result

BENCHES: dict[str, Callable[[bool], Coroutine[Any, Any, Figures]]] = {
    "engine": engine.measure,
    "failover": failover.measure,
    "fleet": fleet.measure,
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
    parser.add_argument("--nodes", type=int, help="of the fleet, 1000 unless given")
    given = parser.parse_args()
    if given.nodes is not None and (given.name != "fleet" or given.nodes < 1):
        parser.error("--nodes is a number of machines, and only `fleet` has them")
    logging.basicConfig(level=logging.WARNING)
    bench = BENCHES[given.name]
    if given.name == "fleet":
        bench = partial(fleet.measure, nodes=given.nodes)
    print_result(given.name, asyncio.run(bench(given.short)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
