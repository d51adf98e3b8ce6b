"""A file that is no good model is refused with one line that says why, and nothing stays behind."""

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from node_agent.engine.child import WORKER
from node_agent.engine.protocol import LoadFailed
from node_agent.engine.supervisor import EngineProcess, Patience
from tests.node_agent.engine.gguf_files import RandomModel

# The engine's own program, but with 600 MB of address space.
SCARCE = (
    sys.executable,
    "-c",
    "import resource, runpy; resource.setrlimit(resource.RLIMIT_AS, (600 << 20,) * 2);"
    "runpy.run_module('node_agent.engine.worker', run_name='__main__')",
)


def cut(model: Path, share: float, target: Path) -> Path:
    """Write the first ``share`` of ``model`` to ``target``, and return it."""
    whole = model.read_bytes()
    target.write_bytes(whole[: max(5, int(len(whole) * share))])
    return target


async def refusal(model: Path, context_tokens: int = 64, worker: Sequence[str] = WORKER) -> str:
    """Return why ``model`` can't be loaded; the fixture of every test looks for what is left."""
    with pytest.raises(LoadFailed) as refused:
        await EngineProcess.start(model, context_tokens=context_tokens, threads=1, worker=worker)
    line = str(refused.value)
    assert line.startswith(f"{model.name} can't be loaded: ")
    assert "\n" not in line
    assert str(model.parent) not in line
    return line


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b"", "failed to read magic", id="empty"),
        pytest.param(b"Call me Ishmael.\n" * 99, "invalid magic characters", id="text"),
        pytest.param(b"GGUF\x63\0\0\0" + bytes(16), "version 99", id="from-the-future"),
        pytest.param(b"GGUF\3\0\0\0" + b"\xff" * 16, "number of tensors", id="absurd-counts"),
        pytest.param(b"GGUF\3\0\0\0" + bytes(16), "architecture", id="no-content"),
    ],
)
async def test_what_is_no_model_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    file = tmp_path / "broken.gguf"
    file.write_bytes(content)
    assert words in await refusal(file)


@pytest.mark.parametrize("share", [0.0001, 0.01, 0.5, 0.999999])
async def test_a_model_cut_short_is_refused(
    tmp_path: Path, random_model: Path, share: float
) -> None:
    line = await refusal(cut(random_model, share, tmp_path / "cut.gguf"))
    reasons = ("failed to read", "remaining file size", "not within the file bounds")
    assert any(reason in line for reason in reasons)


async def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert "No such file" in await refusal(tmp_path / "gone.gguf")


async def test_an_architecture_nobody_knows_is_named(tmp_path: Path) -> None:
    model = RandomModel(architecture="perceptron").write(tmp_path / "odd.gguf")
    assert "unknown model architecture: 'perceptron'" in await refusal(model)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere memory can't be made scarce")
async def test_a_context_that_memory_can_not_hold_is_refused(tmp_path: Path) -> None:
    model = RandomModel(context_tokens=2**20).write(tmp_path / "vast.gguf")  # 512 MB of cache
    line = await refusal(model, context_tokens=2**20, worker=SCARCE)
    assert "no context of 1 x 1048576 tokens" in line
    assert line.endswith("choose a shorter context, or close other programs")


async def test_a_load_that_takes_too_long_is_given_up(slow_model: Path) -> None:
    with pytest.raises(LoadFailed, match=r"did not load within 0.01 s"):
        await EngineProcess.start(slow_model, context_tokens=64, patience=Patience(loaded_s=0.01))
