"""``python -m node_agent`` as its owner meets it: first words, signals, exit codes, leftovers."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from mesh.v1 import inference_pb2 as inference
from tests.node_agent.engine.gguf_files import ParrotModel
from tests.node_agent.joined_home import JoinedHome
from tests.node_agent.scripted_coordinator import PlayedAttach, ScriptedCoordinator, asking

ENDS_WITHIN_S = 30.0  # a cold Python on a busy machine


class Process:
    """A running agent, and what it has said."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        self._stderr = process.stderr
        self.process = process

    async def line(self) -> str:
        async with asyncio.timeout(ENDS_WITHIN_S):
            return (await self._stderr.readline()).decode().rstrip()

    async def ended(self) -> tuple[int, list[str]]:
        """Wait for the end; return the exit code and the lines not read yet."""
        async with asyncio.timeout(ENDS_WITHIN_S):
            rest = (await self._stderr.read()).decode().splitlines()
            return await self.process.wait(), rest


@asynccontextmanager
async def process(home: Path, *arguments: str) -> AsyncIterator[Process]:
    """Run an agent in ``home``; whatever the test did, it is gone on leaving."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("DESKMESH_")
    }
    environment |= {
        "DESKMESH_NODE__NAME": "desk",
        "DESKMESH_NODE__MODEL_FOLDERS": "[]",
        "DESKMESH_NODE__FIND_ENGINES": "false",
        "DESKMESH_NODE__GENEROSITY": "full",  # other tests are no owner to step back for
        "DESKMESH_NODE__ON_BATTERY": "serve",
        "DESKMESH_NODE__TEST_MODELS": "false",
        "DESKMESH_DISCOVERY__MULTICAST": "false",
    }
    started = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "node_agent", "--home", str(home), *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
    )
    try:
        yield Process(started)
    finally:
        if started.returncode is None:
            started.kill()
        await started.wait()


@pytest.fixture
def joined(tmp_path: Path) -> JoinedHome:
    return JoinedHome.make(tmp_path)


@pytest.fixture
async def coordinator(joined: JoinedHome) -> AsyncIterator[ScriptedCoordinator]:
    async with ScriptedCoordinator().serving(
        credentials=joined.coordinator_credentials()
    ) as serving:
        joined.knows(serving.address)
        yield serving


async def answering(
    joined: JoinedHome, coordinator: ScriptedCoordinator, agent: Process
) -> tuple[PlayedAttach, psutil.Process]:
    """Have the agent speak without end; return its control stream and its engine's process."""
    attach = await coordinator.attached()
    offers = list(attach.hello.offers) or list((await attach.next("inventory")).offers)
    model_id = offers[0].model.model_id
    greedy = inference.Sampling(temperature=0.0)
    await attach.start(1, model_id=model_id, request=asking("hello", sampling=greedy))
    await (await coordinator.delivered()).next_delta()
    [engine] = psutil.Process(agent.process.pid).children()
    return attach, engine


def speech(joined: JoinedHome) -> None:
    """Put a model there that speaks for many seconds."""
    endless = ParrotModel(
        says="round&", endless=True, layers=8, feed_forward=1024, context_tokens=8192
    )
    endless.write(joined.home.models / "endless.gguf")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_an_idle_agent_cleanly(
    joined: JoinedHome, coordinator: ScriptedCoordinator, number: signal.Signals
) -> None:
    async with process(joined.home.root) as agent:
        first = await agent.line()
        attach = await coordinator.attached()
        await attach.next("report")
        agent.process.send_signal(number)
        assert await attach.next("leaving")
        code, _ = await agent.ended()
    mesh_id = joined.authority.mesh_id
    assert first.endswith(f"node desk ({joined.node_id}) of mesh {mesh_id}: 0 models")
    assert code == 0
    left = {path.name for path in joined.home.root.rglob("*") if path.is_file()}
    assert left <= {"mesh.json", "authority.pem", "key.pem", "certificate.pem", "library.json"}


async def test_a_second_signal_does_not_wait_for_the_answer_under_way(
    joined: JoinedHome, coordinator: ScriptedCoordinator
) -> None:
    speech(joined)
    async with process(joined.home.root) as agent:
        attach, engine = await answering(joined, coordinator, agent)
        agent.process.send_signal(signal.SIGTERM)
        await attach.next("drain")
        agent.process.send_signal(signal.SIGTERM)
        await agent.ended()
        assert not engine.is_running()
        assert attach.ended.is_set() or await asyncio.wait_for(attach.ended.wait(), 5)


async def test_an_agent_that_is_killed_leaves_no_engine(
    joined: JoinedHome, coordinator: ScriptedCoordinator
) -> None:
    speech(joined)
    async with process(joined.home.root) as agent:
        attach, engine = await answering(joined, coordinator, agent)
        agent.process.kill()
        await agent.process.wait()
        await attach.ended.wait()
        await asyncio.to_thread(engine.wait, ENDS_WITHIN_S)


async def test_a_machine_that_has_not_joined_gets_one_line_and_exit_code_1(tmp_path: Path) -> None:
    async with process(tmp_path) as agent:
        code, lines = await agent.ended()
    assert code == 1
    [line] = lines
    assert "has joined no mesh" in line
    assert "deskmesh join" in line
    assert os.listdir(tmp_path) == []


async def test_wrong_usage_is_exit_code_2(tmp_path: Path) -> None:
    async with process(tmp_path, "--no-such-option") as agent:
        code, lines = await agent.ended()
    assert code == 2
    assert "--no-such-option" in lines[-1]


async def test_a_misspelt_setting_is_named(tmp_path: Path) -> None:
    (tmp_path / "deskmesh.toml").write_text("[node]\nnmae = 'desk'\n")
    async with process(tmp_path) as agent:
        code, lines = await agent.ended()
    assert code == 1
    assert "node.nmae" in lines[-1]
