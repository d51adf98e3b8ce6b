"""The mesh-health page of a played mesh: ``python -m bench.played_page --nodes 100``.

The simulator's machines drive the core, the loop, the page and the door that ship; what is played
is the network between them and who asks. Prints the page's address, and serves until it is ended.
"""

import argparse
import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import chain
from random import Random

from coordinator.cloud.prices import OwnPrice
from coordinator.ledger.records import closed_row
from coordinator.ledger.today import Today
from coordinator.loop import FleetLoop
from coordinator.pages.account import Baseline, of_day
from coordinator.pages.opening import open_pages
from coordinator.pages.pages import Pages, Who
from coordinator.watching import Watcher
from mesh.core import actions, events
from mesh.core.actions import Action
from mesh.core.events import Event
from mesh.core.fleet import Fleet
from mesh.core.limits import FleetLimits
from mesh.core.node import Node
from mesh.core.receipt import Receipt
from mesh.core.types import Capability, CloudModel, Failure, Request
from mesh.door.app import door
from mesh.door.listening import listening
from mesh.sim.profiles import desks
from mesh.sim.world import Traffic, World
from mesh.testing import PlayedAsking
from mesh.version import VERSION

SEED = 11
TROUBLE_FROM = 50  # nodes; of so many one is lost and one is drained at any time
STEP_S = 0.05  # of the played time, while it is shown
BASELINE = Baseline("gpt-5-mini", OwnPrice(Decimal("0.25"), Decimal("2")).cost_microusd)


@dataclass(slots=True)
class PlayedClock:
    """Fast while the mesh lives through its past, then as fast as any."""

    past_s: float = 0.0
    now_began_s: float | None = None  # on the monotonic clock

    def __call__(self) -> float:
        if self.now_began_s is None:
            return self.past_s
        return self.past_s + time.monotonic() - self.now_began_s


@dataclass(slots=True)
class PlayedRelay:
    """Carries out actions on a played world, and tells watchers as a ``Relay`` does."""

    world: World
    watchers: list[Watcher] = field(default_factory=list)

    def arrives(self, event: Event) -> None:
        if isinstance(event, events.RequestArrived):
            for watcher in self.watchers:
                watcher.request_arrived(event.request)

    def carry_out(self, action: Action) -> None:
        match action:
            case actions.SendStarted():
                for watcher in self.watchers:
                    watcher.request_started(action)
            case actions.FinishRequest() | actions.FailRequest():
                request = self.world.request(action.key)
                failure = action.failure if isinstance(action, actions.FailRequest) else None
                for watcher in self.watchers:
                    watcher.request_ended(request, action.receipt, failure)
        self.world.carry_out(action)


class CountedToday:
    """Counts the day as the ledger does, and keeps nothing beyond it. A ``Watcher``."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.today = Today(began_s=0)

    def request_arrived(self, request: Request) -> None:
        """It counts when it ends."""

    def request_started(self, started: actions.SendStarted) -> None:
        """It counts when it ends."""

    def request_moved(self, moved: actions.SendMoved) -> None:
        """Likewise."""

    def request_ended(self, request: Request, receipt: Receipt, failure: Failure | None) -> None:
        now_s = self._clock()
        arrived_us = int((now_s - receipt.total_s) * 1_000_000)
        self.today.count(closed_row(request, receipt, failure, arrived_us=arrived_us), now_s)


class PlayedMesh:
    """A coordinator's heart and page, and a world around it."""

    def __init__(self, nodes: int, traffic: Traffic, *, misfortune: float, seed: int) -> None:
        rng = Random(seed)
        self.clock = PlayedClock()
        self.world = World(
            desks(nodes, rng),
            traffic,
            rng,
            misfortune=misfortune,
            cost_microusd=BASELINE.cost_microusd,
        )
        self.relay = PlayedRelay(self.world)
        self.fleet = Fleet(FleetLimits(), Random(seed))
        self.loop = FleetLoop(self.fleet, self.relay, self.clock)
        self._unix_s = 0.0
        cloud = CloudModel("gpt-5-mini", "openai", frozenset(Capability))
        self.loop.post(events.CloudOffered((cloud,)))
        self._counted = CountedToday(lambda: self._unix_s + self.clock())
        self.relay.watchers.append(self._counted)
        self.pages: Pages = open_pages(
            self.loop,
            self.relay.watchers,
            Who("mac-mini-01", "k3vq7m2x", VERSION),
            lag_s=lambda: 0.0,
            account=lambda: of_day(self._counted.today, BASELINE),
            clock=lambda: self._unix_s + self.clock(),
        )

    def live_through(self, past_s: float) -> None:
        """Play so much time at once, and from then on as it passes."""
        self._unix_s = time.time() - past_s
        while (due_s := self._due_s()) is not None and due_s <= past_s:
            self.clock.past_s = due_s
            self._play(due_s)
        if len(self.fleet.directory.nodes) >= TROUBLE_FROM:
            self._trouble(*sorted(self.fleet.directory.nodes.values(), key=by_name)[7:9])
        self.clock.past_s, self.clock.now_began_s = past_s, time.monotonic()

    async def go_on(self) -> None:
        """Play as time passes. Ends only by cancellation."""
        while True:
            self._play(self.clock())
            await asyncio.sleep(STEP_S)

    def _trouble(self, drained: Node, lost: Node) -> None:
        reason = "connection reset by the machine"
        for event in (
            events.NodeDrained(drained.node_id, "its disk is replaced", by_operator=True),
            events.ConnectionLost(lost.connection_id, lost.node_id, reason),
        ):
            self.loop.post(event)

    def _play(self, now_s: float) -> None:
        for event in chain(self._timed(now_s), self.world.happen(now_s)):
            self.relay.arrives(event)
            self.loop.post(event)

    def _timed(self, now_s: float) -> Iterable[Event]:
        due_s = self.fleet.next_due_s
        if due_s is not None and due_s <= now_s:
            yield events.TimePassed()

    def _due_s(self) -> float | None:
        due = (self.world.next_due_s, self.fleet.next_due_s)
        return min((each for each in due if each is not None), default=None)


def by_name(node: Node) -> str:
    return node.name


async def serve(mesh: PlayedMesh, port: int) -> None:
    """Serve the page and play on, until cancelled. Nothing is asked at this door itself."""
    app = door(PlayedAsking(), mesh.pages.routes())
    async with listening(app, port) as at, mesh.pages.live.running():
        print(f"http://localhost:{at}/", flush=True)
        await mesh.go_on()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.played_page", description=__doc__)
    parser.add_argument("--nodes", type=int, default=100)
    parser.add_argument("--requests-per-s", type=float, default=None, help="a fifth of the nodes")
    parser.add_argument("--past-s", type=float, default=1800.0, help="played before it is shown")
    parser.add_argument("--misfortune", type=float, default=1.0, help="0: nothing goes wrong")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--port", type=int, default=0, help="0: any that is free")
    given = parser.parse_args()
    asked = given.nodes / 5 if given.requests_per_s is None else given.requests_per_s
    of_one_host = min(0.06, 0.2 / max(asked, 0.01))  # one machine, however large the mesh
    traffic = Traffic(requests_per_s=asked, cloud_named_share=0.03, device_share=of_one_host)
    mesh = PlayedMesh(given.nodes, traffic, misfortune=given.misfortune, seed=given.seed)
    mesh.live_through(given.past_s)
    with suppress(KeyboardInterrupt):
        asyncio.run(serve(mesh, given.port))


if __name__ == "__main__":
    main()
