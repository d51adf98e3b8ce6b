"""One coordinator, from its first port to its drained stop."""

import asyncio
import logging
import random
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import grpc

from coordinator.access import Caller, LocalAccess, MeshAccess
from coordinator.assessing import Assessing, Budget, judging_heads
from coordinator.auditing import Auditing
from coordinator.desk import Desk, DeskAsking
from coordinator.effects import Relay
from coordinator.household import Household
from coordinator.judging import Judging
from coordinator.ledger.ledger import Ledger
from coordinator.ledger.reports import Reports
from coordinator.listeners import Ports, listen_tls, new_join_server, new_mesh_server
from coordinator.loop import FleetLoop
from coordinator.pages.account import of_day
from coordinator.pages.carried import Carried
from coordinator.pages.opening import baseline_of, open_pages
from coordinator.pages.pages import Who
from coordinator.recent import Recent
from coordinator.replaying import Replaying
from coordinator.revoking import Membership
from coordinator.services.enrolment import EnrolmentService
from coordinator.services.fleet import FleetService
from coordinator.services.inference import InferenceService
from coordinator.services.ledger import LedgerReports
from coordinator.services.operations import OperationsService, Self
from mesh.core.catalogue import Catalogue
from mesh.core.events import CoordinatorReturned, LadderConfigured
from mesh.core.fleet import Fleet
from mesh.core.limits import FleetLimits
from mesh.core.rules import Rules
from mesh.core.scorer import Scorer
from mesh.core.types import Tier
from mesh.discovery.advert import Advert, Role
from mesh.discovery.advertiser import Advertiser
from mesh.discovery.responder import Responder
from mesh.door.app import door
from mesh.door.listening import listening
from mesh.home import Home
from mesh.identity.address import join_address
from mesh.identity.invitations import Invitations
from mesh.identity.tls import server_credentials
from mesh.rules_file import load_rules
from mesh.scorer_file import read_scorer, shipped_scorer
from mesh.serving import INFERENCE, listen_loopback, new_server
from mesh.settings import Settings
from mesh.v1.fleet_pb2_grpc import add_EnrolmentServicer_to_server, add_FleetServicer_to_server
from mesh.v1.operations_pb2_grpc import add_OperationsServicer_to_server
from mesh.version import VERSION

if TYPE_CHECKING:
    from coordinator.cloud.upstreams import Upstreams

log = logging.getLogger("coordinator")

PING_EVERY_S = 5.0  # two small packets; five of them settle the moving average
SETTLING_S = 10.0  # after a restart, 100 nodes are back within this
STOP_GRACE_S = 2.0  # running answers may finish for so long


class Coordinator:
    """Wires the fleet to its services. ``running()`` owns every task and socket of it."""

    def __init__(self, home: Home, settings: Settings) -> None:
        """Raises MeshError if this machine cannot coordinate."""
        self._settings = settings
        self.rules = load_rules(home.rules_file)  # before anything is made or changed
        self.catalogue = Catalogue(settings.stated_models())
        self._returns = home.authority.exists()
        self.household = Household(home)
        fleet = Fleet(_limits(settings), random.Random())  # noqa: S311 - ties, not secrets
        self._relay = Relay(
            coordinator_id=self.household.coordinator_id,
            beat_every_ms=int(settings.fleet.beat_every_s * 1000),
            directory=fleet.directory,
            prefix_key=self.household.authority.derived_key("prefixes of prompts"),
        )
        self.ledger = Ledger(home.ledger, keep_days=settings.ledger.keep_days)
        self._relay.watchers.append(self.ledger)
        self.loop = FleetLoop(fleet, self._relay, time.monotonic)
        scorer = _scorer_of(settings)
        self.loop.post(_ladder_of(settings, self.catalogue, self.rules, scorer))
        self._recent = Recent(fleet, time.monotonic)
        self._relay.watchers.append(self._recent)
        self._judging = Judging(self.loop, self.ledger, Reports(home.ledger))
        self._desk = Desk(
            self.loop,
            self._relay,
            self.household.mesh_id,
            default_tier=Tier[settings.cloud.default_tier.upper()],
            policies=settings.all_policies(),
            assessing=Assessing(self.rules, scorer=scorer, budget=self._budget),
            catalogue=self.catalogue,
            judging=self._judging,
        )
        self._auditing = Auditing(
            self.loop,
            self._desk,
            self._judging,
            settings.audits,
            random.Random(),  # noqa: S311 - which answers, not secrets
        )
        self._desk.auditing = self._auditing
        self._relay.watchers.append(self._auditing)
        self._access = MeshAccess(self.household.mesh_id, self.household.members)
        baseline = baseline_of(settings.cloud)
        self._pages = open_pages(
            self.loop,
            self._relay.watchers,
            Who(self._name, self.household.mesh_id, VERSION),
            lag_s=lambda: self._relay.calm.lag_s,
            account=lambda: of_day(self.ledger.today, baseline),
        )
        self._fleet_service = FleetService(self.loop, self._relay, self._access)
        self._invitations = Invitations()
        self._responder = Responder(
            settings.discovery.interfaces, enabled=settings.discovery.multicast
        )
        self.ports = Ports(0, 0, 0)
        self.cloud: Upstreams | None = None
        if settings.cloud.on:
            from coordinator.cloud.opening import open_upstreams  # late: a mesh without is most

            self.cloud = self._relay.cloud = open_upstreams(settings.cloud, self.loop.post)
            self.cloud.hold_until_seeded()
            self.ledger.on_spent_known = self.cloud.seed_spent

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve while the context is open. A failing part ends all of it, and is raised."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.ledger.running())  # until all streams have ended
            await stack.enter_async_context(self._responder)
            if self.cloud is not None:
                await stack.enter_async_context(self.cloud.running())
            servers = self._listen()
            for server in servers:
                await server.start()
                stack.push_async_callback(server.stop, STOP_GRACE_S)
            asking = DeskAsking(self._desk, Caller("local", on_this_host=True))
            app = door(asking, self._pages.routes())
            http = await stack.enter_async_context(listening(app, self._settings.ports.http))
            await stack.enter_async_context(self._pages.live.running())  # ends open pages first
            self.ports = replace(self.ports, http=http)
            self.household.enrol_this_host(self.ports.mesh, self.ports.join, self._name)
            self._say_hello()
            if self._returns:
                self.loop.post(CoordinatorReturned(self.loop.now_s + SETTLING_S))
            tasks = await stack.enter_async_context(asyncio.TaskGroup())
            advertiser = Advertiser(
                self._responder, self._advert(), self._settings.discovery.advertise
            )
            await stack.enter_async_context(advertiser)
            self._auditing.tasks = tasks
            owned = [
                tasks.create_task(self.loop.run(), name="fleet loop"),
                tasks.create_task(self._ping(), name="ping"),
                tasks.create_task(self._relay.calm.watch(), name="calm"),
                tasks.create_task(self._judging.relearn(), name="relearning"),
                tasks.create_task(self.household.keep_valid(), name="certificates"),
                tasks.create_task(self.household.members.keep_written(), name="members"),
            ]
            try:
                yield
            finally:
                self._auditing.close()
                for task in owned:
                    task.cancel()

    def _listen(self) -> list[grpc.aio.Server]:
        ports = self._settings.ports
        identity = self.household.identity
        mesh = new_mesh_server(self._settings.fleet.nodes_max)
        join = new_join_server()
        local = new_server((INFERENCE,))
        self.ports = Ports(
            mesh=listen_tls(mesh, ports.mesh, server_credentials(identity), setting="MESH"),
            join=listen_tls(
                join, ports.join, server_credentials(identity, require_client=False), setting="JOIN"
            ),
            local=listen_loopback(local, ports.local, setting="LOCAL"),
        )
        self._add_services(mesh, join, local)
        return [mesh, join, local]

    def _add_services(
        self, mesh: grpc.aio.Server, join: grpc.aio.Server, local: grpc.aio.Server
    ) -> None:
        authority, invitations = self.household.authority, self._invitations
        members = self.household.members
        add_FleetServicer_to_server(self._fleet_service, mesh)
        for server, access in ((mesh, self._access), (local, LocalAccess())):
            InferenceService(self._desk, access).add_to(server)
        for server, member in ((mesh, self._access), (join, None)):
            enrolment = EnrolmentService(authority, invitations, self.addresses, member, members)
            add_EnrolmentServicer_to_server(enrolment, server)
        operations = OperationsService(
            loop=self.loop,
            access=self._access,
            who=self._myself(),
            authority=authority,
            invitations=invitations,
            addresses=self.addresses,
            membership=Membership(members, invitations, self.loop, self._relay),
            ledger=LedgerReports(self.ledger),
            carried=Carried(self._pages),
            recent=self._recent,
            desk=self._desk,
            replaying=Replaying(self._judging.reports, self._settings.all_policies()),
        )
        add_OperationsServicer_to_server(operations, mesh)

    def _budget(self) -> Budget | None:
        """Tell the day's money for the cloud, as far as the ledger knows what is spent of it."""
        cap_usd = self._settings.cloud.max_usd_per_day
        if cap_usd is None:
            return None
        cap_microusd = round(cap_usd * 1_000_000)
        return Budget(cap_microusd, max(0, cap_microusd - self.ledger.spent_today_microusd))

    def addresses(self) -> tuple[list[str], list[str]]:
        """Where others reach this host: host:port of the mesh port, and of the join port."""
        hosts = self._responder.addresses or ("127.0.0.1",)
        return (
            [join_address(host, self.ports.mesh) for host in hosts],
            [join_address(host, self.ports.join) for host in hosts],
        )

    async def _ping(self) -> None:
        while True:
            self._fleet_service.ping_all()
            await asyncio.sleep(PING_EVERY_S)

    def _myself(self) -> Self:
        return Self(
            coordinator_id=self.household.coordinator_id,
            name=self._name,
            version=VERSION,
            mesh_id=self.household.mesh_id,
            started_s=time.monotonic(),
        )

    def _advert(self) -> Advert:
        return Advert(
            machine_id=self.household.coordinator_id,
            mesh_id=self.household.mesh_id,
            version=VERSION,
            role=Role.COORDINATOR,
            name=self._name,
            mesh_port=self.ports.mesh,
            join_port=self.ports.join,
        )

    @property
    def _name(self) -> str:
        return self._settings.node.name or socket.gethostname()

    def _say_hello(self) -> None:
        log.info(
            "mesh %s: nodes and operators on port %d, joining on %d; on this machine alone: "
            "gRPC on %d, tools and the page at http://localhost:%d",
            self.household.mesh_id,
            self.ports.mesh,
            self.ports.join,
            self.ports.local,
            self.ports.http,
        )
        if self.rules:
            log.info("%d rules of rules.toml say which models may answer", len(self.rules.rules))
        if self._responder.trouble is not None:
            log.warning(
                "other machines will not find this one by mDNS: %s", self._responder.trouble
            )


def _ladder_of(
    settings: Settings, catalogue: Catalogue, rules: Rules, scorer: Scorer | None
) -> LadderConfigured:
    return LadderConfigured(
        catalogue,
        rules,
        settings.energy.usd_per_kwh,
        heads=judging_heads(scorer) if scorer is not None else {},
        canary_share=settings.ladder.canary_share,
    )


def _scorer_of(settings: Settings) -> Scorer | None:
    """Return the scorer that looks at prompts, if one is to; raises as ``read_scorer``."""
    ladder = settings.ladder
    if not ladder.scores:
        return None
    return read_scorer(ladder.scorer.expanduser()) if ladder.scorer else shipped_scorer()


def _limits(settings: Settings) -> FleetLimits:
    fleet = settings.fleet
    return FleetLimits(
        suspect_after_s=fleet.suspect_after_s,
        lost_after_s=fleet.lost_after_s,
        goes_on_within_s=fleet.goes_on_within_s,
        nodes_max=fleet.nodes_max,
        waiting_max=fleet.waiting_max,
    )
