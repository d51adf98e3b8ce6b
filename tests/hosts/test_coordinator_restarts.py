"""A coordinator that ends and comes back finds its nodes again, and they find it."""

import signal

import pytest

from tests.hosts.conftest import Figure, NewHost
from tests.hosts.network import needs_network
from tests.whole.conftest import attached
from tests.whole.conftest import joined_by_command as joined

PROMPT = "Reverse the word: mesh"

pytestmark = needs_network


@pytest.mark.parametrize(
    "how", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.long)]
)
async def test_nodes_come_back_by_themselves(
    how: signal.Signals, new_host: NewHost, figure: Figure
) -> None:
    office, left, right = new_host("office"), new_host("left"), new_host("right")
    async with office.running("coordinator") as first:
        await first.says("nodes and operators on port")
        await joined(left, office)
        await joined(right, office)
        async with left.running("node") as one, right.running("node") as two:
            for node in (one, two):
                await attached(node)
            first.process.send_signal(how)
            await first.process.wait()
            for node in (one, two):
                await node.says("lost coordinator")
            alone = await left.run("ask", "--json", PROMPT)
            assert alone.json["text"] == "hsem", alone.err
            assert alone.json["node"] == "left"
            assert "no coordinator answers" in alone.json["receipt"]["why"]
            seen = [len(node.lines) for node in (one, two)]
            async with office.running("coordinator") as second, office.operating() as operator:
                back_s = await second.says("nodes and operators on port")
                for node, lines in zip((one, two), seen, strict=True):
                    again_s = await node.line(
                        lambda line: "attached to coordinator" in line, what="again", after=lines
                    )
                    figure("coordinator back to a node's attach", again_s - back_s)
                await operator.until_state("alive", "left", "right")
                answer = await right.run("ask", "--json", PROMPT)
                assert answer.code == 0, answer.err
            assert one.process.returncode is two.process.returncode is None
