"""A host fails in the middle of a long answer: the text comes to its end from another one."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from subprocess import CalledProcessError
from typing import Any

import pytest

from tests.hosts.conftest import Figure, NewHost
from tests.hosts.host import Host, Operator
from tests.hosts.network import needs_network
from tests.whole.conftest import joined_by_command as joined
from tests.whole.conftest import serving
from tests.whole.machine import Running

pytestmark = needs_network

STREAMING = (sys.executable, "-m", "tests.hosts.streaming")
CUT_AFTER = 12  # tokens
SLEEP_S = 30.0
PROMPT = "Reverse the word: mesh"


@dataclass(frozen=True, slots=True)
class Node:
    """A host that lends, and its agent."""

    host: Host
    agent: Running

    def kill_agent(self) -> None:
        self.agent.process.kill()

    def kill_engine(self) -> None:
        for engine in self.agent.engines():
            engine.kill()

    def stop(self) -> None:
        """Hang as a whole, as a machine does whose lid is closed."""
        for process in self.agent.family():
            process.suspend()

    def stop_engine(self) -> None:
        """Hang where it hurts, while the agent says that all is well."""
        for engine in self.agent.engines():
            engine.suspend()

    def go_on(self) -> None:
        for process in self.agent.family():
            process.resume()


@dataclass(slots=True)
class Answer:
    """One answer as a client got it."""

    node: str = ""  # who began it
    ids: list[int] = field(default_factory=list)
    text: str = ""
    attempts: list[tuple[str, str]] = field(default_factory=list)  # a machine, how it ended there
    numerics_changed_at_token: int = 0
    struck_s: float = 0.0
    gap_s: float = 0.0  # the longest pause after the blow

    def take(self, event: dict[str, Any]) -> None:
        if "offset" in event:
            assert event["offset"] == len(self.ids), "a token was lost, or came twice"
            self.ids += event["ids"]
            self.text += event["text"]
        elif "node" in event:
            assert not self.node, "the client was told twice that it begins"
            self.node = event["node"]
        else:
            self.attempts = [(node, outcome) for node, outcome in event["attempts"]]
            self.numerics_changed_at_token = event["numerics_changed_at_token"]


@dataclass(frozen=True, slots=True)
class Mesh:
    """An office with a client that stays open, and two hosts that lend, both warm."""

    nodes: dict[str, Node]
    chat: Running
    operator: Operator

    async def ask(self, request_id: str, strike: Callable[[Node], None] | None = None) -> Answer:
        """Stream the long answer; ``strike`` the host that gives it, in its middle."""
        answer, read = Answer(), len(self.chat.lines)
        before_s = 0.0
        await self.chat.tell(request_id)
        while not answer.attempts:
            at_s = await self.chat.line(lambda _: True, what="an event", after=read)
            line = self.chat.lines[read][1]
            assert line.startswith("{"), self.chat.text
            read += 1
            answer.take(json.loads(line))
            if answer.struck_s:
                answer.gap_s = max(answer.gap_s, at_s - before_s)
            elif strike is not None and len(answer.ids) >= CUT_AFTER:
                strike(self.nodes[answer.node])
                answer.struck_s = time.monotonic()
            before_s = at_s
        return answer

    async def moves(self, strike: Callable[[Node], None]) -> tuple[str, Answer]:
        """Let the one who answers be struck; return its name, and the answer, which must be whole.

        Raises:
            AssertionError: it is not what it is when nobody is struck, or did not move.
        """
        whole, cut = await self.ask("whole"), await self.ask("cut", strike)
        assert [outcome for _, outcome in whole.attempts] == ["answered"]
        assert cut.text == whole.text
        assert cut.ids == whole.ids
        assert len(cut.ids) > 2 * CUT_AFTER
        (struck, failed), (other, answered) = cut.attempts
        assert {struck, other} == set(self.nodes)
        assert cut.node == struck
        assert failed != "answered"
        assert answered == "answered"
        assert cut.numerics_changed_at_token == 0
        return struck, cut


@pytest.fixture
async def mesh(office: Host, new_host: NewHost) -> AsyncIterator[Mesh]:
    async with AsyncExitStack() as stack:
        nodes = {}
        for name in ("left", "right"):
            host = await joined(new_host(name), office)
            agent = await stack.enter_async_context(host.running("node"))
            nodes[name] = Node(host, agent)
        for node in nodes.values():
            await serving(node.agent)
            warmed = await node.host.run("ask", "--tier", "device", PROMPT)
            assert warmed.code == 0, warmed.err
        chat = await stack.enter_async_context(office.running_program(*STREAMING))
        yield Mesh(nodes, chat, await stack.enter_async_context(office.operating()))


@asynccontextmanager
async def mended(mesh: Mesh, mend: Callable[[Node], None]) -> AsyncIterator[None]:
    """Undo what was done to hosts, whatever comes of the test, so that they can stop in order."""
    try:
        yield
    finally:
        for node in mesh.nodes.values():
            mend(node)


async def test_the_agent_is_killed(mesh: Mesh, figure: Figure) -> None:
    _, answer = await mesh.moves(Node.kill_agent)
    figure("agent killed in an answer's middle to the next token", answer.gap_s)


async def test_the_cable_is_pulled(mesh: Mesh, figure: Figure) -> None:
    async with mended(mesh, lambda node: node.host.plug_again()):
        struck, answer = await mesh.moves(lambda node: node.host.unplug())
        figure("cable pulled in an answer's middle to the next token", answer.gap_s)
        mesh.nodes[struck].host.plug_again()
        await mesh.operator.until_state("alive", struck)


@pytest.mark.long
async def test_a_slow_link_that_loses_frames_costs_time_and_no_token(
    mesh: Mesh, figure: Figure
) -> None:
    whole = await mesh.ask("whole")
    for node in mesh.nodes.values():
        node.host.worsen(delay_ms=30, jitter_ms=10, loss=0.02)
    began_s = time.monotonic()
    slow = await mesh.ask("slow")
    figure("a long answer over 60 ms there and back, and 2 % of the frames lost", _since(began_s))
    assert (slow.ids, slow.text) == (whole.ids, whole.text)
    assert slow.attempts[-1][1] == "answered"


def _since(began_s: float) -> float:
    return time.monotonic() - began_s


@pytest.mark.long
async def test_the_engine_is_killed(mesh: Mesh, figure: Figure) -> None:
    struck, answer = await mesh.moves(Node.kill_engine)
    figure("engine killed in an answer's middle to the next token", answer.gap_s)
    await mesh.operator.until_state("alive", struck)


@pytest.mark.long
async def test_all_of_it_hangs(mesh: Mesh, figure: Figure) -> None:
    async with mended(mesh, Node.go_on):
        _, answer = await mesh.moves(Node.stop)
        figure("host stopped in an answer's middle to the next token", answer.gap_s)


@pytest.mark.long
async def test_the_engine_hangs_while_its_agent_beats(mesh: Mesh, figure: Figure) -> None:
    async with mended(mesh, Node.go_on):
        struck, answer = await mesh.moves(Node.stop_engine)
        figure("engine stopped in an answer's middle to the next token", answer.gap_s)
        await mesh.operator.until_state("alive", struck)


@pytest.mark.long
@pytest.mark.parametrize("lost", ["sends", "is sent"])
async def test_what_it_sends_or_is_sent_is_lost(lost: str, mesh: Mesh, figure: Figure) -> None:
    cut, mend = {
        "sends": (Host.mute, Host.hear_again),
        "is sent": (Host.deafen, Host.speak_to_again),
    }[lost]

    def strike(node: Node) -> None:
        try:
            cut(node.host)
        except CalledProcessError as failure:
            pytest.skip(f"bridges of this kernel lose nothing one way: {failure.stderr}")

    async with mended(mesh, lambda node: mend(node.host)):
        struck, answer = await mesh.moves(strike)
        figure(f"loss of what a host {lost} to the next token", answer.gap_s)
        mend(mesh.nodes[struck].host)
        await mesh.operator.until_state("alive", struck)


@pytest.mark.long
async def test_a_laptop_sleeps_for_half_a_minute_and_is_back_when_it_wakes(
    mesh: Mesh, figure: Figure
) -> None:
    async with mended(mesh, Node.go_on):
        struck, answer = await mesh.moves(Node.stop)
        figure("laptop asleep in an answer's middle to the next token", answer.gap_s)
        await mesh.operator.until(
            lambda nodes: nodes[struck]["state"] != "alive", what="notice of its sleep"
        )
        await asyncio.sleep(SLEEP_S - (time.monotonic() - answer.struck_s))
        mesh.nodes[struck].go_on()
        woken_s = time.monotonic()
        figure("laptop awake to alive", await mesh.operator.until_state("alive", struck) - woken_s)
        [other] = set(mesh.nodes) - {struck}
        await mesh.operator.drain(other)
        again = await mesh.ask("again")
        assert again.attempts == [(struck, "answered")]
        assert again.text == answer.text
