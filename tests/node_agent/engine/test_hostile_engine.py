"""An engine process that was taken over can hurt its own answers, and nothing else."""

import sys
from contextlib import aclosing
from pathlib import Path

import pytest

from mesh.core.generation import Delta, Started
from mesh.errors import NodeLost
from node_agent.engine.protocol import LoadFailed
from node_agent.engine.supervisor import EngineProcess, Patience
from tests.node_agent.engine import fake_engine
from tests.node_agent.engine.asking import ask, hear

IMPATIENT = Patience(loaded_s=20, started_s=0.3, cancelled_s=0.3)


async def start(misdeed: str, patience: Patience = IMPATIENT) -> EngineProcess:
    worker = (sys.executable, fake_engine.__file__, misdeed)
    return await EngineProcess.start(
        Path("fake.gguf"), context_tokens=64, threads=1, patience=patience, worker=worker
    )


AFTER_LOADING = ("loaded-twice", "loads-what-is-loaded")  # by then the load was a success


@pytest.mark.parametrize(
    "misdeed", [name for name in fake_engine.AT_LOAD if name not in AFTER_LOADING]
)
async def test_an_engine_that_breaks_the_protocol_while_loading_is_stopped(misdeed: str) -> None:
    with pytest.raises(LoadFailed, match="broke the protocol") as refused:
        await start(misdeed)
    assert "\n" not in str(refused.value)


async def test_an_engine_that_never_loads_is_stopped() -> None:
    with pytest.raises(LoadFailed, match=r"did not load within 0.5 s"):
        await start("mute", Patience(loaded_s=0.5))


async def test_a_load_that_goes_on_is_waited_for_however_long_it_takes() -> None:
    told: list[float] = []
    worker = (sys.executable, fake_engine.__file__, "crawls")
    engine = await EngineProcess.start(
        Path("fake.gguf"),
        context_tokens=64,
        told=told.append,
        patience=Patience(loaded_s=2.0),  # the whole takes 2.4 s
        worker=worker,
    )
    await engine.close()
    assert told == [step / 8 for step in range(1, 8)]


async def test_a_load_that_says_the_same_for_ever_is_stopped() -> None:
    with pytest.raises(LoadFailed, match=r"did not load within 0.5 s beyond 50%"):
        await start("stands-still", Patience(loaded_s=0.5))


async def test_an_engine_that_dies_while_loading_leaves_its_last_words() -> None:
    with pytest.raises(LoadFailed, match=r"exit code 3: ImportError: libgomp.so.1 is missing"):
        await start("leaves")


async def test_no_program_at_all_is_a_failed_load() -> None:
    with pytest.raises(LoadFailed, match="no engine process could be started"):
        await EngineProcess.start(Path("a.gguf"), context_tokens=64, worker=("/no/such/program",))


@pytest.mark.parametrize("misdeed", [*fake_engine.AT_WORK, "floods"])
async def test_an_engine_that_breaks_the_protocol_at_work_is_stopped(misdeed: str) -> None:
    engine = await start(misdeed)
    if misdeed == "after-the-end":  # this answer was whole, and the lie came after it
        await hear(engine, ask("x", max_tokens=2))
    else:
        with pytest.raises(NodeLost, match="broke the protocol"):
            await hear(engine, ask("x", max_tokens=2))
    assert "broke the protocol" in await engine.wait_dead()
    with pytest.raises(NodeLost):
        await hear(engine, ask("again"))
    await engine.close()


@pytest.mark.parametrize("misdeed", fake_engine.AT_EMBEDDING)
async def test_an_engine_that_lies_about_vectors_is_stopped(misdeed: str) -> None:
    engine = await start(misdeed)
    if misdeed == "embedded-twice":  # the vectors were whole, and the lie came after them
        assert [list(each) for each in (await engine.embed(["a", "b"])).vectors] == [[1], [1]]
    else:
        with pytest.raises(NodeLost, match="broke the protocol"):
            await engine.embed(["a", "b"])
    assert "broke the protocol" in await engine.wait_dead()
    await engine.close()


@pytest.mark.parametrize("misdeed", fake_engine.AT_COUNTING)
async def test_an_engine_that_lies_about_a_count_is_stopped(misdeed: str) -> None:
    engine = await start(misdeed)
    with pytest.raises(NodeLost, match="broke the protocol"):
        await engine.count_tokens(ask("x").messages, ())
    assert "broke the protocol" in await engine.wait_dead()
    await engine.close()


async def test_an_engine_that_counts_no_prompt_is_stopped() -> None:
    engine = await start("hangs")
    with pytest.raises(NodeLost, match=r"no prompt was counted within 0.3 s"):
        await engine.count_tokens(ask("x").messages, ())
    assert "hung" in await engine.wait_dead()


async def test_an_engine_that_accepts_no_prompt_is_stopped() -> None:
    engine = await start("hangs")
    with pytest.raises(NodeLost, match=r"no prompt was accepted within 0.3 s"):
        await hear(engine, ask("x"))
    assert "hung" in await engine.wait_dead()


async def test_an_engine_that_does_not_let_go_is_stopped() -> None:
    engine = await start("ignores-cancel")
    async with aclosing(engine.generate(ask("x"))) as events:
        await anext(events)
    assert "a cancelled answer did not stop within 0.3 s" in await engine.wait_dead()


async def test_an_engine_that_closes_its_pipe_is_stopped() -> None:
    engine = await start("closes-pipe")
    async with aclosing(engine.generate(ask("x"))) as events:
        assert isinstance(await anext(events), Started)
        assert isinstance(await anext(events), Delta)  # what came before is not lost
        with pytest.raises(NodeLost, match="stopped talking"):
            await anext(events)
    assert engine.pid == 0


async def test_a_failed_assertion_is_told_but_nothing_else_that_was_written() -> None:
    engine = await start("asserts")
    with pytest.raises(
        NodeLost, match=r"SIGABRT \(ggml.c:42: GGML_ASSERT\(n > 0\) failed\)"
    ) as lost:
        await hear(engine, ask("x"))
    assert "secret" not in str(lost.value)
    assert "/build" not in str(lost.value)
