"""Files that lie are refused in one line, or work; no load hangs, or takes us along.

Each load is a process, so the short form tells a few lies: those that hang or abort llama.cpp, and
one for each part of a file. The long form tells them all, and cuts a file at many places.
"""

import asyncio
from pathlib import Path

import pytest

from node_agent.engine.protocol import LoadFailed
from node_agent.engine.supervisor import EngineProcess, Patience
from tests.node_agent.engine.asking import ask, hear
from tests.node_agent.engine.lying_files import LIES, LyingVocabulary

# What llama.cpp does not look at, or takes for "not said".
WORK = frozenset({"context of 2**31", "context of 2**32 - 1", "no context", "end that is no token"})
IN_SHORT = (
    "context of 2**31",  # llama.cpp's own number is negative then; once it was waited for in vain
    "no layers",  # an assertion aborts the process
    "fewer tokens than there are",
    "tensor that overflows",
    "2**60 keys",
)
PATIENCE = Patience(loaded_s=60)  # far above what a small file takes, far below "it hangs"
AT_A_TIME = 2
CUTS = 40


async def load(model: Path) -> str:
    """Return why ``model`` is refused, "" if it works."""
    try:
        engine = await EngineProcess.start(model, context_tokens=64, threads=1, patience=PATIENCE)
    except LoadFailed as refused:
        line = str(refused)
        assert line.startswith(f"{model.name} can't be loaded: ")
        assert line.isprintable()
        assert "/" not in line, "a path"
        assert "did not load within" not in line
        return line
    try:
        assert (await hear(engine, ask("hello", max_tokens=3))).ids
    finally:
        await engine.close()
    return ""


async def load_all(models: list[Path]) -> list[str]:
    room = asyncio.Semaphore(AT_A_TIME)

    async def one(model: Path) -> str:
        async with room:
            return await load(model)

    return await asyncio.gather(*(one(model) for model in models))


def told(lies: list[str], model: Path, folder: Path) -> list[Path]:
    whole, files = model.read_bytes(), []
    for number, lie in enumerate(lies):
        files.append(folder / f"lie-{number}.gguf")
        files[-1].write_bytes(LIES[lie](whole))
    return files


def cut(model: Path, folder: Path) -> list[Path]:
    whole, files = model.read_bytes(), []
    for number in range(CUTS):
        files.append(folder / f"cut-{number}.gguf")
        # Half of the cuts are in the header, which is a fiftieth of the file.
        share = number / CUTS if number % 2 else number / CUTS / 50
        files[-1].write_bytes(whole[: int(share * len(whole))])
    return files


async def test_a_lie_is_refused_in_one_line_or_does_not_matter(
    random_model: Path, tmp_path: Path
) -> None:
    lies = list(IN_SHORT)
    refusals = await load_all(told(lies, random_model, tmp_path))
    assert [lie for lie, refused in zip(lies, refusals, strict=True) if not refused] == [
        "context of 2**31"
    ]


@pytest.mark.parametrize("rows_more", [-5, 5])
async def test_a_vocabulary_that_lies_is_refused(tmp_path: Path, rows_more: int) -> None:
    model = LyingVocabulary(rows_more=rows_more).write(tmp_path / "lie.gguf")
    assert "tensor 'token_embd.weight' has wrong shape" in await load(model)


@pytest.mark.long
async def test_every_lie_is_refused_in_one_line_or_does_not_matter(
    random_model: Path, tmp_path: Path
) -> None:
    refusals = await load_all(told(list(LIES), random_model, tmp_path))
    harmless = {lie for lie, refused in zip(LIES, refusals, strict=True) if not refused}
    assert harmless == WORK


@pytest.mark.long
async def test_a_file_cut_anywhere_is_refused(random_model: Path, tmp_path: Path) -> None:
    assert all(await load_all(cut(random_model, tmp_path)))
