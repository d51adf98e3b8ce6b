"""Engines on tiny models, and the proof that no test leaves a process or a descriptor behind."""

import gc
import os
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from node_agent.engine.supervisor import EngineProcess
from tests.node_agent.engine.gguf_files import ParrotModel, RandomModel

# As in the engine process: tests that load llama.cpp here share the cores with others.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

TINY = Path(__file__).parents[3] / "models" / "test-tiny.gguf"
PARROT_SAYS = "Zoë, 5€!"  # characters of one, two and three bytes


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for model files that several tests read."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def random_model(models: Path) -> Path:
    return RandomModel().write(models / "random.gguf")


@pytest.fixture(scope="session")
def close_model(models: Path) -> Path:
    """Its best logits differ by little, so any difference in rounding shows."""
    return RandomModel(scale=0.06, layers=4).write(models / "close.gguf")


@pytest.fixture(scope="session")
def close_half_model(models: Path) -> Path:
    """The same in 16 bits, which ggml rounds otherwise where a row is alone."""
    model = RandomModel(scale=0.06, layers=4, width=256, heads=4, feed_forward=512, half=True)
    return model.write(models / "close-half.gguf")


@pytest.fixture(scope="session")
def slow_model(models: Path) -> Path:
    """Takes seconds for a prompt of 7,000 tokens, on any machine."""
    model = RandomModel(layers=8, width=256, heads=8, feed_forward=512, context_tokens=8192)
    return model.write(models / "slow.gguf")


@pytest.fixture(scope="session")
def endless_model(models: Path) -> Path:
    """Speaks for many seconds, so that there is time for things to happen to it."""
    speech = ParrotModel(
        says="round&", endless=True, layers=8, feed_forward=1024, context_tokens=8192
    )
    return speech.write(models / "endless.gguf")


@pytest.fixture(scope="session")
def parrot_model(models: Path) -> Path:
    return ParrotModel(says=PARROT_SAYS).write(models / "parrot.gguf")


@pytest.fixture(scope="package")
async def engine(random_model: Path) -> AsyncIterator[EngineProcess]:
    """An engine that tests may ask, but neither kill nor leave busy."""
    engine = await EngineProcess.start(random_model, context_tokens=512, threads=1)
    yield engine
    await engine.close()


@pytest.fixture(scope="package")
async def parrot(parrot_model: Path) -> AsyncIterator[EngineProcess]:
    """As ``engine``, but it makes sense."""
    engine = await EngineProcess.start(parrot_model, context_tokens=512, threads=1)
    yield engine
    await engine.close()


@pytest.fixture(scope="package")
async def endless(endless_model: Path) -> AsyncIterator[EngineProcess]:
    """As ``engine``, but it stops only when it is told to."""
    engine = await EngineProcess.start(endless_model, context_tokens=8192, threads=1)
    yield engine
    await engine.close()


@pytest.fixture(scope="package")
async def tiny() -> AsyncIterator[EngineProcess]:
    """As ``engine``, but the bundled test model, and four answers at a time."""
    engine = await EngineProcess.start(TINY, context_tokens=1024, threads=1, slots=4)
    yield engine
    await engine.close()


def processes(this: psutil.Process) -> set[psutil.Process]:
    """Return all below ``this``, but for what a living engine keeps to try grammars out."""
    return {each for each in this.children(recursive=True) if not tries_grammars(each)}


def tries_grammars(process: psutil.Process) -> bool:
    try:
        return any("grammar_trial" in word for word in process.cmdline())
    except psutil.Error:  # a zombie is nobody's
        return False


@pytest.fixture(autouse=True)
async def nothing_is_left_behind() -> AsyncIterator[None]:
    """Fail a test that leaves a process, a zombie or a descriptor.

    Asynchronous only so that the event loop has its own descriptors before they are counted.
    """
    gc.collect()  # what an earlier test left to the garbage is not this one's
    this = psutil.Process()
    descriptors, children = this.num_fds(), processes(this)
    yield
    assert processes(this) == children
    assert this.num_fds() == descriptors
