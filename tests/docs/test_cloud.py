"""docs/cloud.md is true: its settings turn the cloud on, its commands are answered there."""

import re
import shlex
import sys
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType

import pytest

from coordinator.cloud import call
from coordinator.cloud.gate import MAX_TOKENS_DEFAULT
from coordinator.cloud.opening import open_upstreams
from mesh.chat_api import refusals
from mesh.chat_api.patience import Patience
from mesh.settings import CloudSettings
from tests.coordinator.cloud.played_upstream import PlayedUpstream
from tests.whole.conftest import NewMachine, new_machine
from tests.whole.machine import ROOT

__all__ = ["new_machine"]  # a fixture that these tests share

DOCUMENT = (ROOT / "docs" / "cloud.md").read_text()
KEY = "sk-in-a-file"


def block(language: str, number: int = 0) -> str:
    found: list[str] = re.findall(rf"```{language}\n(.*?)```", DOCUMENT, re.DOTALL)
    return found[number]


@pytest.fixture
async def upstream() -> AsyncIterator[PlayedUpstream]:
    played = PlayedUpstream()
    await played.start()
    yield played
    await played.stop()


async def test_its_settings_turn_the_cloud_on_and_its_commands_are_answered_there(
    new_machine: NewMachine, upstream: PlayedUpstream, tmp_path: Path
) -> None:
    office = new_machine("office")
    key = tmp_path / "upstream"
    key.write_text(f"{KEY}\n")
    key.chmod(0o600)
    settings = block("toml").replace("https://api.example.com/v1", upstream.base_url)
    office.home.root.mkdir(parents=True)
    office.home.settings_file.write_text(settings.replace("~/keys/upstream", str(key)))
    async with office.running("coordinator") as coordinator:
        await coordinator.says("prompts of tier cloud may go to big-model")
        await coordinator.says("nodes and operators on port")
        local = re.search(r"gRPC on (\d+)", coordinator.text)
        assert local
        for line in block("sh").splitlines():
            program, *arguments = shlex.split(line)
            assert program == "deskmesh"
            answer = await office.run(*arguments, "--address", f"127.0.0.1:{local[1]}")
            assert (answer.code, answer.out) == (0, "hello\n"), answer.err
            assert "(cloud, $0.000040)" in answer.err
    assert [asked.headers["authorization"] for asked in upstream.asked] == [f"Bearer {KEY}"] * 2


def test_its_settings_are_those_of_the_cloud() -> None:
    assert CloudSettings.model_validate(tomllib.loads(block("toml"))["cloud"]).base_url


def test_its_several_upstreams_are_opened_with_a_price_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keyring = ModuleType("keyring")
    keyring.get_password = lambda *_: KEY  # type: ignore[attr-defined]
    errors = ModuleType("keyring.errors")
    errors.KeyringError = Exception  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "keyring", keyring)
    monkeypatch.setitem(sys.modules, "keyring.errors", errors)
    for variable in ("OPENROUTER_KEY", "AZURE_KEY"):
        monkeypatch.setenv(variable, KEY)
    cloud = CloudSettings.model_validate(tomllib.loads(block("toml", 1))["cloud"])
    models = {each.name: each for each in open_upstreams(cloud, lambda _: None).models}
    assert list(models) == ["some/small-model", "our-deployment", "claude-sonnet-4-5"]
    assert all(each.input_microusd_per_million_tokens for each in models.values())
    assert {name for name, each in models.items() if each.equals} == set(cloud.shares["frontier"])


def test_its_errors_are_said_by_the_code() -> None:
    folders = (ROOT / "coordinator" / "cloud", ROOT / "mesh" / "chat_api")
    code = "".join(path.read_text() for folder in folders for path in folder.glob("*.py"))
    for message in re.findall(r"^\| `([^`]+)` \|", DOCUMENT, re.MULTILINE):
        words = re.split(r"big-model|\$[\d.]+|\(\d+\)", message)
        for part in filter(None, (each.strip(" ,") for each in words)):
            assert part in code, message


def test_its_numbers_are_those_of_the_code() -> None:
    patience = Patience()
    assert f"{patience.first_token_s:.0f} s to the first token" in DOCUMENT
    assert f"{patience.chunk_s:.0f} s between two" in DOCUMENT
    assert f"a wait of over {refusals.RETRY_AFTER_MAX_S:.0f} s" in DOCUMENT
    assert f"else {MAX_TOKENS_DEFAULT:,}" in DOCUMENT
    assert call.TRIES_MAX == 3
    assert "asked three times" in DOCUMENT
