"""Machines whose clocks show that a certificate has expired: who comes back, and who does not."""

import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import pytest

from tests.hosts.clock import needs_clock
from tests.hosts.conftest import Figure, NewHost
from tests.hosts.host import Host
from tests.hosts.network import needs_network
from tests.whole.conftest import attached, forget_addresses
from tests.whole.conftest import joined_by_command as joined
from tests.whole.machine import WITHIN_S, Running

PROMPT = "Reverse the word: mesh"
DAY_S = 86_400
MONTH_S = 30 * DAY_S
TOO_LONG_S = 100 * DAY_S  # an expired certificate is good for renewal for 90 days

pytestmark = [needs_network, needs_clock]


@pytest.fixture
async def pair(new_host: NewHost) -> tuple[Host, Host]:
    """A coordinator's host and a joined one, each with a clock; nothing runs yet."""
    office, desk = new_host("office", clock=True), new_host("desk", clock=True)
    async with coordinating(office):
        await joined(desk, office)
    return office, desk


@asynccontextmanager
async def coordinating(office: Host) -> AsyncIterator[Running]:
    """Run a coordinator, ready to serve."""
    async with office.running("coordinator") as coordinator:
        await coordinator.says("nodes and operators on port")
        yield coordinator


def move_clocks(hosts: Iterable[Host], seconds: float) -> None:
    for host in hosts:
        host.move_clock(seconds)


async def answered_by(node: str, asking: Host) -> float:
    """Ask until that node answers, as people do, and return when it did."""
    until_s = time.monotonic() + WITHIN_S
    while True:
        answer = await asking.run("ask", "--json", PROMPT)
        if answer.code == 0:
            assert answer.json["node"] == node
            return time.monotonic()
        assert time.monotonic() < until_s, answer.err


@pytest.mark.parametrize("moved", [False, True], ids=["where it was", "elsewhere"])
async def test_machines_that_were_off_for_a_month_renew_and_serve(
    pair: tuple[Host, Host], figure: Figure, *, moved: bool
) -> None:
    office, desk = pair
    move_clocks(pair, MONTH_S)
    if moved:  # the coordinator has another address by now: mDNS tells it
        forget_addresses(desk)
    async with coordinating(office), desk.running("node") as node:
        attached_s = await attached(node)
        figure(
            "first log line of a node that was off for a month to its attach",
            attached_s - node.lines[0][0],
        )
        await answered_by("desk", office)
        figure("the same to an answer by it", await answered_by("desk", desk) - node.lines[0][0])


async def test_a_mesh_whose_clocks_jump_by_a_month_while_it_runs_serves_on(
    pair: tuple[Host, Host], figure: Figure
) -> None:
    office, desk = pair
    async with coordinating(office), desk.running("node") as node:
        await attached(node)
        assert (await office.run("ask", PROMPT)).code == 0
        move_clocks(pair, MONTH_S)
        jumped_s = time.monotonic()
        figure("clocks jump by a month to an answer", await answered_by("desk", office) - jumped_s)
        figure("the same, asked by the node", await answered_by("desk", desk) - jumped_s)


async def test_a_machine_that_was_off_for_longer_than_90_days_is_told_to_join_again(
    pair: tuple[Host, Host],
) -> None:
    office, desk = pair
    move_clocks(pair, TOO_LONG_S)
    async with coordinating(office), desk.running("node") as node:
        await node.says("deskmesh join")
        assert "attached to coordinator" not in node.text
        refused = await desk.run("ask", PROMPT)
        assert refused.code == 1
        [line] = refused.err.strip().splitlines()
        assert "deskmesh join" in line or "join again" in line
        assert "traceback" not in node.text.lower()
    # And that helps.
    async with coordinating(office):
        await joined(desk, office)
        async with desk.running("node") as node:
            await attached(node)


async def test_a_revoked_machine_is_cut_off_and_neither_attaches_nor_renews_again(
    pair: tuple[Host, Host], figure: Figure
) -> None:
    office, desk = pair
    async with coordinating(office), office.operating() as operator:
        async with desk.running("node") as node:
            await attached(node)
            await operator.until_state("alive", "desk")
            await operator.until_held(desk=1)
            assert (await office.run("ask", PROMPT)).code == 0
            revoked = await office.run("revoke", "desk")
            assert revoked.code == 0, revoked.err
            revoked_s = time.monotonic()
            figure("revoked to lost", await node.says("revoked") - revoked_s)
            refused = await office.run("ask", PROMPT)
            assert refused.code == 1
            refused = await desk.run("ask", PROMPT)
            assert refused.code == 1
            assert "revoked" in refused.err
        async with desk.running("node") as node:
            await node.says("revoked")
            assert "attached to coordinator" not in node.text
    # Its certificate has expired, the coordinator is a new process, and it is still revoked.
    move_clocks(pair, MONTH_S)
    async with coordinating(office), desk.running("node") as node:
        await node.says("revoked")
        assert "attached to coordinator" not in node.text
        assert (await office.run("ask", PROMPT)).code == 1
