"""What other tools have on the machine is served as it lies, by the names people know it by."""

import asyncio
import hashlib
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from node_agent.library.bundled import bundled_model
from tests.node_agent.engine.gguf_files import RandomModel
from tests.node_agent.library.stores import HubCache, OllamaStore, library
from tests.whole.conftest import NewMachine, attached, joined
from tests.whole.machine import WITHIN_S, Machine, Result


class Untouched(Machine):
    """A machine whose owner has set nothing about models: every usual place is looked at."""

    @property
    def environment(self) -> dict[str, str]:
        environment = Machine.environment.__get__(self)
        del environment["DESKMESH_NODE__MODEL_FOLDERS"]
        return dict(environment)


@dataclass
class User:
    """A user's home with what three tools have downloaded."""

    home: Path
    sha256: dict[str, str] = field(default_factory=dict)  # by the name that is shown

    def fill(self, tmp_path: Path) -> None:
        bundled = bundled_model()
        assert bundled is not None
        ollama = OllamaStore(self.home / ".ollama" / "models")
        hub = HubCache(self.home / ".cache" / "huggingface" / "hub")
        ollama.pull(library("tiny:latest"), bundled)
        self.sha256["tiny:latest"] = _sha256(bundled)
        both = RandomModel(seed=1).write(tmp_path / "both.gguf")
        ollama.pull(library("desk:1b"), both)
        self.sha256["desk:1b"] = _sha256(both)
        repository = self.home / ".lmstudio" / "models" / "acme" / "Desk-1B-GGUF"
        repository.mkdir(parents=True)
        shutil.copy(both, repository / "desk-1b-f32.gguf")
        repository = self.home / ".lmstudio" / "models" / "acme" / "Studio-2B-GGUF"
        repository.mkdir()
        for seed, tag in ((2, "q4_0"), (4, "q8_0")):
            studio = RandomModel(seed=seed).write(repository / f"studio-2b-{tag}.gguf")
            self.sha256[f"studio-2b@{tag}"] = _sha256(studio)
        parts = tmp_path / "parts"
        parts.mkdir()
        RandomModel(seed=3, split_max_tensors=8).write(parts / "Hub-3B-Q8_0.gguf")
        for part in sorted(parts.iterdir()):
            hub.download("acme/Hub-3B-GGUF", part.name, part)
        self.sha256["acme/Hub-3B-GGUF:Q8_0"] = _sha256(*sorted(parts.iterdir()))

    def listing(self) -> list[tuple[object, ...]]:
        """Return all that can be known of every file and folder, but when it was last read."""
        found: list[tuple[object, ...]] = []
        for path in sorted(self.home.rglob("*")):
            status = path.lstat()
            content = os.readlink(path) if path.is_symlink() else ""
            if path.is_file():
                content += _sha256(path)
            found.append(
                (path, status.st_mode, status.st_ino, status.st_size, status.st_mtime_ns, content)
            )
        return found


def _sha256(*paths: Path) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()


@pytest.fixture
def user(tmp_path: Path) -> User:
    user = User(tmp_path / "user")
    user.home.mkdir()
    user.fill(tmp_path)
    return user


async def test_the_models_of_three_tools_are_listed_once_and_answer_by_their_names(
    office: Machine, new_machine: NewMachine, user: User
) -> None:
    before = user.listing()
    plain = new_machine("desk", HOME=str(user.home))
    desk = await joined(Untouched(plain.home, plain.name, plain.settings), office)
    async with desk.running("node") as node:
        await attached(node)
        await node.says("5 models")
        listed = await _all_listed(office, set(user.sha256))
        ours = {name: _listed(listed, name) for name in user.sha256}
        assert {name: model["names"][0] for name, model in ours.items()} == {
            name: name for name in user.sha256
        }
        for name, model in ours.items():
            assert model["model_id"].startswith(user.sha256[name][:16])
        assert {"test-tiny", "tiny"} <= set(ours["tiny:latest"]["names"])
        assert "desk-1b@f32" in ours["desk:1b"]["names"]
        for name in [*user.sha256, "desk-1b"]:
            answer = await office.run("ask", "--json", "-m", name, "--max-tokens", "4", "hi")
            assert answer.code == 0, answer.err
            expected = ours["desk:1b" if name == "desk-1b" else name]["model_id"]
            assert _answered(answer) == expected
        either = {ours[f"studio-2b@{tag}"]["model_id"] for tag in ("q4_0", "q8_0")}
        assert {each["model_id"] for each in listed if "studio-2b" in each["names"]} == either
        answer = await office.run("ask", "--json", "-m", "studio-2b", "--max-tokens", "4", "hi")
        assert _answered(answer) in either  # a name that means two: the receipt tells which it was
    assert user.listing() == before


async def _all_listed(office: Machine, names: set[str]) -> list[dict[str, Any]]:
    """Return the mesh's models once all of ``names`` are among them: reports follow the log."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            listed: list[dict[str, Any]] = (await office.run("models", "list", "--json")).json[
                "models"
            ]
            if names <= {name for each in listed for name in each["names"]}:
                return listed


def _answered(answer: Result) -> str:
    """Return the identity of the model that answered, by the receipt."""
    [attempt] = answer.json["receipt"]["attempts"]
    return str(attempt["model_id"])


def _listed(listed: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """Return the one model that answers to ``name``."""
    [model] = [each for each in listed if name in each["names"]]
    return model
