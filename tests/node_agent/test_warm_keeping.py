"""Nothing is kept unless the owner wants it, and what was kept goes when the wish does."""

import asyncio
import stat
from pathlib import Path

import pytest

from mesh.core.types import ModelId
from mesh.home import Home
from mesh.settings import NodeSettings
from node_agent.engine.warm_folder import WarmPlace
from node_agent.warm_keeping import keep_tidy, place_of, warm_folder
from tests.node_agent.conftest import Told

MODEL = ModelId("0123456789abcdef-none")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_by_default_nothing_is_kept_and_no_folder_is_made(home: Home) -> None:
    assert place_of(warm_folder(home, NodeSettings()), MODEL) is None
    assert not home.warm_state.exists()


def test_where_it_is_wanted_the_folder_is_this_users_alone(home: Home) -> None:
    folder = warm_folder(home, NodeSettings(keep_warm_state=True, warm_state_bytes_max=1 << 20))
    assert place_of(folder, MODEL) == WarmPlace(folder, MODEL)
    assert folder.bytes_max == 1 << 20
    assert stat.S_IMODE(home.warm_state.stat().st_mode) == 0o700


def test_a_folder_that_cannot_be_made_keeps_no_model_from_loading(home: Home, told: Told) -> None:
    home.warm_state.write_text("a file in its place")
    folder = warm_folder(home, NodeSettings(keep_warm_state=True))
    assert place_of(folder, MODEL) is None
    assert len(told.of("no warm state is kept")) == 1


async def test_what_was_kept_goes_when_the_setting_does(home: Home) -> None:
    kept = warm_folder(home, NodeSettings(keep_warm_state=True))
    assert place_of(kept, MODEL) is not None
    (home.warm_state / f"{MODEL}.1.warm").touch()
    assert len(kept.files(MODEL)) == 1
    tidying = asyncio.create_task(keep_tidy(warm_folder(home, NodeSettings())))
    async with asyncio.timeout(10):
        while kept.files(MODEL):
            await asyncio.to_thread(kept.files, MODEL)
    tidying.cancel()
    await asyncio.wait([tidying])
    assert tidying.cancelled()
