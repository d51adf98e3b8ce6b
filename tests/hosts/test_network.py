"""What tests of hosts stand on: cut links are silent, clocks move, nothing of this shell leaks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import network as networks
from scripts.network import NAMESPACES, Network, ip, remove_leftovers, why_not
from tests.hosts.clock import needs_clock
from tests.hosts.conftest import NewHost
from tests.hosts.network import needs_network
from tests.whole.machine import WITHIN_S

MONTH_S = 30 * 86_400

LISTEN = """
import socket
with socket.create_server(("", 7000)) as server:
    print("listening", flush=True)
    caller, _ = server.accept()
    with caller:
        for line in caller.makefile():
            print("heard", line.strip(), flush=True)
    print("ended", flush=True)
"""
CALL = """
import socket, sys
with socket.create_connection((sys.argv[1], 7000)) as call:
    for line in sys.stdin:
        call.sendall(line.encode())
        print("said", line.strip(), flush=True)
"""
HEAR = """
import socket
with socket.socket(type=socket.SOCK_DGRAM) as hearing:
    hearing.bind(("", 7000))
    print("hearing", flush=True)
    while True:
        print("heard", hearing.recv(100).decode(), flush=True)
"""
SAY = """
import socket, sys
socket.socket(type=socket.SOCK_DGRAM).sendto(sys.argv[2].encode(), (sys.argv[1], 7000))
"""
SAY_MUCH = """
import socket, sys, time
with socket.socket(type=socket.SOCK_DGRAM) as saying:
    for number in range(200):
        saying.sendto(f"number {number}".encode(), (sys.argv[1], 7000))
    for _ in range(20):
        saying.sendto(b"end", (sys.argv[1], 7000))
"""
CLOCK = """
import datetime, subprocess, sys, time
began, true = time.time(), time.monotonic()
for _ in sys.stdin:
    time.sleep(0.01)
    child = subprocess.check_output([sys.executable, "-c", "import time; print(time.time())"])
    seen = (time.time(), float(child), datetime.datetime.now().timestamp())
    print("moved", *(round((each - began) / 86_400, 2) for each in seen), flush=True)
    print("slept", time.monotonic() - true < 60, flush=True)
"""

# A test of a test's foundations is skipped, never passed, where there are none.
pytestmark = needs_network


@pytest.mark.parametrize(("cut", "mend"), [("silence", "end_silence"), ("unplug", "plug_again")])
async def test_a_cut_link_resets_nothing_and_what_was_said_arrives_when_it_is_back(
    cut: str, mend: str, new_host: NewHost
) -> None:
    here, there = new_host("here"), new_host("there")
    async with there.running_program(sys.executable, "-c", LISTEN) as listener:
        await listener.says("listening")
        calling = here.running_program(sys.executable, "-c", CALL, there.address)
        async with calling as caller:
            await caller.tell("one")
            await listener.says("heard one")
            getattr(there, cut)()
            await caller.tell("two")
            await caller.says("said two")
            assert "two" not in listener.text
            assert caller.process.returncode is None
            getattr(there, mend)()
            await listener.says("heard two")
            assert "ended" not in listener.text


@pytest.mark.parametrize("cut", ["mute", "deafen"])
async def test_one_way_loss_loses_one_way(cut: str, new_host: NewHost) -> None:
    here, there = new_host("here"), new_host("there")
    hears = (sys.executable, "-c", HEAR)
    async with here.running_program(*hears) as at_here, there.running_program(*hears) as at_there:
        for each in (at_here, at_there):
            await each.says("hearing")

        async def say(word: str) -> None:
            for host, other in ((here, there), (there, here)):
                await host.run_program(sys.executable, "-c", SAY, other.address, word)

        await say("zero")  # they have asked for each other's hardware address
        for each in (at_here, at_there):
            await each.says("heard zero")
        getattr(there, cut)()
        await say("one")
        there.hear_again() if cut == "mute" else there.speak_to_again()
        await say("two")
        for each in (at_here, at_there):
            await each.says("heard two")
    deaf, well = (at_here, at_there) if cut == "mute" else (at_there, at_here)
    assert "heard one" in well.text
    assert "heard one" not in deaf.text


async def test_a_bad_link_is_late_and_loses_some_of_what_nobody_sends_again(
    new_host: NewHost,
) -> None:
    here, there = new_host("here"), new_host("there")
    there.worsen(delay_ms=40, jitter_ms=10, loss=0.2)
    async with there.running_program(sys.executable, "-c", LISTEN) as listener:
        await listener.says("listening")
        async with here.running_program(sys.executable, "-c", CALL, there.address) as caller:
            for number in range(40):
                await caller.tell(f"line {number}")
            heard_s = await listener.says("heard line 39")
            said_s = await caller.says("said line 39")
            lines = [line for _, line in listener.lines if line.startswith("heard")]
            assert lines == [f"heard line {number}" for number in range(40)]
            assert heard_s - said_s > 0.02
    async with there.running_program(sys.executable, "-c", HEAR) as hearer:
        await hearer.says("hearing")
        await here.run_program(sys.executable, "-c", SAY_MUCH, there.address)
        await hearer.says("heard end")
        arrived = sum(line.startswith("heard number") for _, line in hearer.lines)
        assert 100 < arrived < 195


async def test_a_silenced_host_still_sees_its_link(new_host: NewHost) -> None:
    host = new_host("host")
    before = ip("-n", host.namespace, "-oneline", "link", "show", "eth0")
    host.silence()
    assert ip("-n", host.namespace, "-oneline", "link", "show", "eth0") == before
    host.end_silence()
    host.unplug()
    assert "NO-CARRIER" in ip("-n", host.namespace, "-oneline", "link", "show", "eth0")


async def test_each_host_has_its_own_home_and_nothing_of_this_shell(
    new_host: NewHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESKMESH_PORTS__MESH", "1")
    monkeypatch.setenv("DESKMESH_HOME", "nowhere")
    monkeypatch.setenv("XDG_DATA_HOME", "nowhere")
    one, other = new_host("one"), new_host("other")
    show = "import os; print(*sorted(v for k, v in os.environ.items() if 'HOME' in k))"
    seen = {(await each.run_program(sys.executable, "-c", show)).out for each in (one, other)}
    assert len(seen) == 2
    assert not [each for each in seen if "nowhere" in each]
    # Both coordinate on the default ports of one machine, as hosts that are apart can.
    async with one.running("coordinator") as here, other.running("coordinator") as there:
        for each in (here, there):
            await each.says("nodes and operators on port 7443, joining on 7444")
    assert {path.name for path in one.home.root.parent.iterdir()} == {"deskmesh"}


@needs_clock
async def test_a_clock_moves_under_a_running_process_and_its_children_alone(
    new_host: NewHost,
) -> None:
    moved, other = new_host("moved", clock=True), new_host("other", clock=True)
    running = [each.running_program(sys.executable, "-c", CLOCK) for each in (moved, other)]
    async with running[0] as process, running[1] as bystander:
        for each in (process, bystander):
            await each.tell("look")
            await each.says("moved 0.0 0.0 0.0")
        moved.move_clock(MONTH_S)
        for each in (process, bystander):
            await each.tell("look")
        await process.says("moved 30.0 30.0 30.0")
        moved.move_clock(-2 * MONTH_S)
        await process.tell("look")
        await process.says("moved -30.0 -30.0 -30.0")
        assert "slept False" not in process.text
        await bystander.tell("look")
        await bystander.line(lambda line: line == "moved 0.0 0.0 0.0", what="a third look", after=4)


def test_what_a_killed_run_left_behind_is_removed_and_what_runs_in_it_ends(
    network: Network,
) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    left, kept = f"dm-{gone.pid}-1-left", network.machine("kept")
    ip("netns", "add", left)
    sleeper = subprocess.Popen([networks.IP, "netns", "exec", left, "sleep", "600"])
    while not ip("netns", "pids", left).strip():
        assert sleeper.poll() is None
    remove_leftovers()
    assert sleeper.wait(timeout=WITHIN_S) != 0
    names = {path.name for path in NAMESPACES.iterdir()}
    assert kept in names
    assert left not in names


@pytest.mark.parametrize("broken", ["no command", "no root", "refused"])
def test_where_there_can_be_no_hosts_the_reason_is_told(
    broken: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if broken == "no command":
        monkeypatch.setattr(networks, "IP", "")
    elif broken == "no root":
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
    else:
        refusing = tmp_path / "ip"
        refusing.write_text("#!/bin/sh\necho 'Operation not permitted' >&2; exit 1\n")
        refusing.chmod(0o700)
        monkeypatch.setattr(networks, "IP", str(refusing))
    reason = {
        "no command": "needs Linux and its command ip (package iproute2)",
        "no root": "needs root, for network namespaces",
        "refused": "network namespaces are refused here: Operation not permitted",
    }
    assert why_not.__wrapped__() == reason[broken]


def test_a_network_leaves_nothing_behind() -> None:
    with Network() as made:
        made.plug(made.machine("brief"), "10.77.0.1")
        mine = {path.name for path in NAMESPACES.iterdir() if str(os.getpid()) in path.name}
        assert len(mine) == 2
    assert not mine & {path.name for path in NAMESPACES.iterdir()}


def test_multicast_comes_back_with_a_port_only_where_it_is_allowed(network: Network) -> None:
    machine = network.machine("host")
    network.plug(machine, "10.77.0.1")

    def carried() -> bool:
        return "mcast_flood on" in ip("-d", "-n", network.switch, "link", "show", "p0")

    assert carried()
    network.block_multicast()
    network.silence(machine)
    network.end_silence(machine)
    assert not carried()
    network.allow_multicast()
    assert carried()
