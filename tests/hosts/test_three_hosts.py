"""Three hosts become one mesh: joined by code, found by multicast, asked, cut off."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import psutil
import pytest

from mesh.identity.address import join_address
from scripts.network import Network
from tests.hosts.conftest import Figure, NewHost
from tests.hosts.host import Host, Operator
from tests.hosts.network import needs_network
from tests.node_agent.engine.gguf_files import RandomModel
from tests.whole.conftest import attached, forget_addresses
from tests.whole.conftest import joined_by_command as joined

PROMPT = "Reverse the word: mesh"
GREEDY = ("--temperature", "0")

pytestmark = needs_network


async def test_hosts_that_know_no_address_find_each_other_and_ask_the_one_with_the_model(
    office: Host, new_host: NewHost, tmp_path: Path, figure: Figure
) -> None:
    special = tmp_path / "special"
    special.mkdir()
    RandomModel().write(special / "special.gguf")
    left, right = await joined(new_host("left"), office), await joined(new_host("right"), office)
    for host in (left, right):
        assert forget_addresses(host) == [join_address(office.address, 7443)]
    async with (
        office.operating() as operator,
        left.running("node", "--models", str(special)) as one,
        right.running("node") as two,
    ):
        for node in (one, two):
            began_s = (await attached(node)) - node.lines[0][0]
            figure("first log line of a node to its attach, by multicast alone", began_s)
        nearby = await right.run("status", "--nearby", "--json")
        seen = {machine["name"]: machine["addresses"] for machine in nearby.json["machines"]}
        assert seen == {host.name: [host.address] for host in (office, left, right)}
        await operator.until_held(left=2, right=1)
        for asked in (office, left, right):
            answer = await asked.run(
                "ask", "--json", "--explain", "-m", "special", "--max-tokens", "4", "hi"
            )
            assert answer.code == 0, answer.err
            assert answer.json["node"] == "left"
            [ruled_out] = answer.json["receipt"]["ruled_out"]
            assert ruled_out["node_name"] == "right"


async def test_the_other_host_answers_when_a_link_is_cut_before_the_first_token(
    office: Host, new_host: NewHost, figure: Figure
) -> None:
    left, right = await joined(new_host("left"), office), await joined(new_host("right"), office)
    async with warm_pair(office, left, right) as pair:
        took_s = await answered_in_spite_of(pair, left.silence)
        figure("link cut to the other host's whole answer", took_s)
        # The host that was cut off comes back by itself.
        left.end_silence()
        mended_s = time.monotonic()
        alive_s = await pair.operator.until_state("alive", "left")
        figure("link mended to alive", alive_s - mended_s)
        pair.engine.resume()
        await pair.operator.drain("right")
        assert (await office.run("ask", "--json", PROMPT)).json["node"] == "left"


@pytest.mark.long
async def test_the_other_host_answers_at_whatever_moment_between_two_beats_a_cable_is_pulled(
    office: Host, new_host: NewHost, figure: Figure
) -> None:
    left, right = await joined(new_host("left"), office), await joined(new_host("right"), office)
    random = Random(3)
    async with warm_pair(office, left, right) as pair:
        for _ in range(4):  # a fifth in a row is beyond the budget of retries
            await asyncio.sleep(random.random())  # a beat is 1 s: any moment of it
            took_s = await answered_in_spite_of(pair, left.unplug)
            figure("cable pulled to the other host's whole answer", took_s)
            left.plug_again()
            pair.engine.resume()
            await pair.operator.until_state("alive", "left")
            await pair.operator.drain("right")


@dataclass(frozen=True, slots=True)
class WarmPair:
    """Two nodes, left and right, that hold the test model in memory; right is drained."""

    office: Host
    operator: Operator
    engine: psutil.Process  # left's


@asynccontextmanager
async def warm_pair(office: Host, left: Host, right: Host) -> AsyncIterator[WarmPair]:
    """Run both nodes. Warm, so that a measured time is that of noticing, not of loading."""
    async with (
        office.operating() as operator,
        left.running("node") as one,
        right.running("node") as two,
    ):
        await attached(one)
        await attached(two)
        await operator.until_held(left=1, right=1)
        for cold, other in (("right", "left"), ("left", "right")):
            await operator.drain(other)
            assert (await office.run("ask", "--json", PROMPT)).json["node"] == cold
            if other == "left":
                await operator.resume(other)
        [engine] = one.engines()
        yield WarmPair(office, operator, engine)


async def answered_in_spite_of(pair: WarmPair, cut: Callable[[], None]) -> float:
    """Let left begin a request, ``cut`` its link before a token comes, and see right answer it.

    Returns the seconds from the cut to the end of the command that asked.
    """
    await pair.operator.until_idle()
    pair.engine.suspend()  # it gets the request, and no token comes
    asking = asyncio.create_task(pair.office.run("ask", "--json", *GREEDY, PROMPT))
    await pair.operator.until_running("left")
    await pair.operator.resume("right")
    cut()
    cut_s = time.monotonic()
    answer = await asking
    took_s = time.monotonic() - cut_s
    assert answer.code == 0, answer.err
    assert answer.json["text"].strip() == "hsem"
    attempts = answer.json["receipt"]["attempts"]
    assert [each["node_name"] for each in attempts] == ["left", "right"]
    assert attempts[0]["outcome"] in {"node_lost", "outrun"}  # it was late before it was lost
    assert attempts[1]["outcome"] == "answered"
    return took_s


async def test_where_multicast_is_blocked_a_seed_or_the_addresses_of_the_join_do(
    network: Network, office: Host, new_host: NewHost
) -> None:
    network.block_multicast()
    seeded, known = (
        await joined(new_host("seeded"), office),
        await joined(new_host("known"), office),
    )
    [address] = forget_addresses(seeded)
    async with seeded.running("node", "--seed", address) as one, known.running("node") as two:
        await attached(one)
        await attached(two)
        nearby = await known.run("status", "--nearby", "--json")
        assert {machine["name"] for machine in nearby.json["machines"]} == {"known"}
        assert (await known.run("ask", PROMPT)).code == 0


@pytest.mark.long
async def test_a_node_that_nobody_heard_is_heard_when_multicast_comes_back(
    network: Network, office: Host, new_host: NewHost, figure: Figure
) -> None:
    desk = await joined(new_host("desk"), office)
    forget_addresses(desk)
    network.block_multicast()
    async with desk.running("node") as node:
        nearby = await office.run("status", "--nearby", "--json")
        assert {machine["name"] for machine in nearby.json["machines"]} == {"office"}
        network.allow_multicast()
        allowed_s = time.monotonic()
        figure("multicast allowed to a node's attach", await attached(node) - allowed_s)


@pytest.mark.long
async def test_five_starts_are_found_by_multicast(
    office: Host, new_host: NewHost, figure: Figure
) -> None:
    desk = await joined(new_host("desk"), office)
    for _ in range(5):
        forget_addresses(desk)
        async with desk.running("node") as node:
            took_s = await attached(node) - node.lines[0][0]
            figure("first log line of a node to its attach, five starts", took_s)


@pytest.mark.long
async def test_joining_a_host_that_does_not_answer_is_one_clear_line(new_host: NewHost) -> None:
    office, desk = new_host("office"), new_host("desk")
    async with office.running("coordinator") as coordinator:
        await coordinator.says("nodes and operators on port")
        code = (await office.run("invite", "--json")).json["code"]
    refused = await desk.run("join", code)
    assert refused.code == 1
    [line] = refused.err.strip().splitlines()
    assert office.address in line
