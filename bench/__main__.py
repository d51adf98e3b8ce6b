"""``python -m bench NAME``."""

import argparse
import asyncio
import logging
import sys
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

from bench import (
    engine,
    failover,
    fits,
    fleet,
    idle,
    ladder,
    ledger,
    page,
    pull,
    relay,
    routing,
    warm,
)
from bench.ladder_rungs import PRICE_USD, own_models, repository_family
from bench.result import Figures, print_result
from mesh.errors import InvalidRequest, MeshError

BENCHES: dict[str, Callable[[bool], Coroutine[Any, Any, Figures]]] = {
    "engine": engine.measure,
    "failover": failover.measure,
    "fits": fits.measure,
    "fleet": fleet.measure,
    "idle": idle.measure,
    "ladder": ladder.measure,
    "ledger": ledger.measure,
    "page": page.measure,
    "pull": pull.measure,
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
    _add_ladder(parser)
    given = parser.parse_args()
    if given.nodes is not None and (given.name != "fleet" or given.nodes < 1):
        parser.error("--nodes is a number of machines, and only `fleet` has them")
    logging.basicConfig(level=logging.WARNING)
    bench = BENCHES[given.name]
    if given.name == "fleet":
        bench = partial(fleet.measure, nodes=given.nodes)
    if given.name == "ladder":
        bench = partial(ladder.measure, given=_ladder(parser, given))
    try:
        print_result(given.name, asyncio.run(bench(given.short)))
    except MeshError as failure:
        hint = f"; {failure.hint}" if failure.hint else ""
        print(f"error: {failure.message}{hint}", file=sys.stderr)
        return 1
    return 0


def _add_ladder(parser: argparse.ArgumentParser) -> None:
    ladder_only = parser.add_argument_group("ladder")
    ladder_only.add_argument(
        "--data", type=Path, help="a folder of public outcomes, to judge the scorer on first"
    )
    ladder_only.add_argument(
        "--outcomes", type=Path, help="a file to learn from; it is written if there is none"
    )
    ladder_only.add_argument(
        "--model", type=Path, action="append", help="a GGUF file of your own; repeatable"
    )
    ladder_only.add_argument(
        "--upstream", help="your own, up to its /v1; its key is in DESKMESH_CLOUD__API_KEY"
    )
    ladder_only.add_argument("--upstream-model", help="as the upstream calls it")
    ladder_only.add_argument(
        "--price",
        type=float,
        nargs=2,
        metavar=("IN", "OUT"),
        default=PRICE_USD,
        help="of the upstream, USD a million tokens",
    )


def _ladder(parser: argparse.ArgumentParser, given: argparse.Namespace) -> ladder.Given:
    own = (given.model, given.upstream, given.upstream_model)
    if any(own) and not all(own):
        parser.error("--model, --upstream and --upstream-model need each other")
    if given.data is not None and not given.data.is_dir():
        parser.error(f"--data: there is no folder {given.data}")
    rungs = repository_family()
    if all(own):
        try:
            rungs = own_models(*own, price_usd=tuple(given.price))
        except InvalidRequest as failure:
            parser.error(str(failure))
    return ladder.Given(rungs, given.data, given.outcomes)


if __name__ == "__main__":
    sys.exit(main())
