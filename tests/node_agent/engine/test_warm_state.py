"""What slots hold outlives their engine, whole or not at all."""

import asyncio
import logging
import os
import shutil
import signal
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from node_agent.engine.supervisor import EngineProcess, Patience
from node_agent.engine.warm_folder import WarmFolder, WarmPlace
from tests.node_agent.engine.asking import Heard, ask, hear
from tests.node_agent.engine.embedding_files import EncoderModel
from tests.node_agent.engine.gguf_files import RandomModel

STORY = "a mesh of desks " * 70  # a token is a byte
FIRST = replace(ask(STORY, max_tokens=8), block_hashes=(1, 2))
SECOND = ask(STORY + "and then?", max_tokens=24, logprobs=3)


@pytest.fixture(scope="module")
def model(models: Path) -> Path:
    """Its best logits differ by little, so any difference in rounding shows."""
    return RandomModel(scale=0.06, layers=4, context_tokens=2048).write(models / "close-long.gguf")


@pytest.fixture
def place(tmp_path: Path) -> WarmPlace:
    """A folder with nothing in it."""
    return place_in(tmp_path)


def place_in(path: Path) -> WarmPlace:
    return WarmPlace(WarmFolder(path, 1 << 30), "0123-none")


async def start(model: Path, place: WarmPlace | None, *, slots: int = 2) -> EngineProcess:
    return await EngineProcess.start(model, context_tokens=2048, slots=slots, threads=1, keep=place)


async def ask_and_close(model: Path, place: WarmPlace | None) -> None:
    engine = await start(model, place)
    await hear(engine, FIRST)
    await asyncio.gather(engine.close(), engine.close())  # an unload, and the agent's stop


async def second_turn(model: Path, place: WarmPlace) -> Heard:
    engine = await start(model, place)
    try:
        return await hear(engine, SECOND)
    finally:
        await engine.close()


@pytest.fixture(scope="module")
async def saved_once(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an engine saved that was asked the first turn."""
    place = place_in(tmp_path_factory.mktemp("warm"))
    await ask_and_close(model, place)
    [saved] = place.folder.files(place.model_id)
    return saved


@pytest.fixture
def saved(saved_once: Path, place: WarmPlace) -> Path:
    """The same, in this test's own folder."""
    return Path(shutil.copy(saved_once, place.folder.path))


@pytest.fixture(scope="module")
async def undisturbed(model: Path) -> Heard:
    """The second turn where the engine was never restarted."""
    engine = await start(model, None)
    await hear(engine, FIRST)
    heard = await hear(engine, SECOND)
    await engine.close()
    return heard


def test_nobody_else_can_read_what_is_saved(saved_once: Path) -> None:
    assert stat.S_IMODE(saved_once.stat().st_mode) == 0o600


async def test_a_conversation_goes_on_after_a_restart_to_the_last_bit(
    model: Path, place: WarmPlace, saved: Path, undisturbed: Heard
) -> None:
    again = await second_turn(model, place)
    assert again.started.cached_tokens == undisturbed.started.cached_tokens > len(STORY)
    assert again.logprobs == undisturbed.logprobs
    assert again.text == undisturbed.text
    assert place.folder.files(place.model_id) != [saved], "the longer one takes its place"


async def test_what_is_kept_comes_back_and_is_told_before_anybody_asks(
    model: Path, place: WarmPlace, saved: Path
) -> None:
    engine = await start(model, place)
    changed = asyncio.Event()
    engine.watch_prefixes(changed.set)
    async with asyncio.timeout(20):
        while not engine.prefixes:
            changed.clear()
            await changed.wait()
    assert {each.block_hash for each in engine.prefixes} == {1, 2}
    assert place.folder.files(place.model_id) == [], "a file is used once"
    await engine.close()
    assert place.folder.files(place.model_id) == [saved], "it is saved again, by the same name"


async def test_a_load_with_fewer_slots_leaves_the_files_for_one_with_as_many(
    model: Path, place: WarmPlace, saved: Path
) -> None:
    fewer = await start(model, place, slots=1)
    assert (await hear(fewer, SECOND)).started.cached_tokens == 0
    await fewer.close()
    assert saved in place.folder.files(place.model_id)


async def test_nothing_is_written_unless_it_is_wanted(model: Path, place: WarmPlace) -> None:
    await ask_and_close(model, None)
    assert list(place.folder.path.iterdir()) == []


def spoil(path: Path, damage: str) -> None:
    content = bytearray(path.read_bytes())
    match damage:
        case "flipped":
            content[len(content) // 2] ^= 1  # a number of the state: llama.cpp would take it
        case "cut":
            del content[len(content) // 2 :]
        case "foreign":
            content[:] = b"GGUF" * 1000
        case "other context":
            content[:] = content.replace(b'"context_tokens":2048', b'"context_tokens":2047')
    path.write_bytes(content)


@pytest.mark.parametrize("damage", ["flipped", "cut", "foreign", "other context"])
async def test_a_file_that_is_not_what_was_saved_is_told_once_and_removed(
    model: Path, place: WarmPlace, saved: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    spoil(saved, damage)
    engine = await start(model, place)
    heard = await hear(engine, SECOND)
    assert heard.started.cached_tokens == 0
    assert place.folder.files(place.model_id) == []
    [line] = [each.getMessage() for each in caplog.records if "saved state" in each.getMessage()]
    assert saved.name in line
    await engine.close()


async def test_an_engine_that_hangs_while_it_saves_is_ended(model: Path, place: WarmPlace) -> None:
    engine = await EngineProcess.start(
        model, context_tokens=512, threads=1, keep=place, patience=Patience(saved_s=0.1)
    )
    os.kill(engine.pid, signal.SIGSTOP)
    await engine.close()
    assert engine.pid == 0


async def test_an_engine_whose_slots_hold_nothing_is_not_asked_to_save(
    models: Path, place: WarmPlace
) -> None:
    path = EncoderModel().write(models / "encoder-at-rest.gguf")
    patience = Patience(saved_s=3600)
    engine = await EngineProcess.start(
        path, context_tokens=256, threads=1, keep=place, embeds=True, patience=patience
    )
    async with asyncio.timeout(60):
        await engine.close()
    assert place.folder.files(place.model_id) == []
