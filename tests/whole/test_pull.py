"""A model that is pulled while a mesh runs answers without a restart, and only the first start
advises one."""

import asyncio
import hashlib
import json
import time
from pathlib import Path

import models as test_models
from bench.played_mesh import free_port
from mesh.pulling.catalogue import entries
from tests.mesh.pulling.server import Behaviour, serving
from tests.whole.conftest import NewMachine
from tests.whole.machine import WITHIN_S, Machine

MODEL = (Path(test_models.__file__).parent / "test-text.gguf").read_bytes()
PROMPT = "Reverse the word: mesh"


async def test_a_pulled_model_answers_in_the_mesh_that_runs(new_machine: NewMachine) -> None:
    desk = new_machine("desk")
    desk.ports["DESKMESH_PORTS__LOCAL"] = str(free_port())
    async with desk.running("up") as up:
        await up.says("Ctrl-C stops it")
        assert any(f"models pull {each.name}" in up.text for each in entries()) or (
            "Test models only" in up.text
        )
        with serving(Behaviour(MODEL)) as server:
            sha256 = hashlib.sha256(MODEL).hexdigest()
            pulled = await desk.run("models", "pull", server.url, "--sha256", sha256, "--json")
        assert pulled.code == 0, pulled
        took_s = await _served_after(desk, "tiny")
        assert took_s < 10.0, "a second for the look, and the rest for a busy machine"
        asked = await desk.run("ask", "--model", "tiny", PROMPT)
        assert asked.code == 0, asked
        shown = await desk.run("models", "show", "tiny", "--json")
        assert "desk" in json.loads(shown.out)["served_by"]


async def _served_after(desk: Machine, name: str) -> float:
    began_s = time.monotonic()
    async with asyncio.timeout(WITHIN_S):
        while True:
            listed = json.loads((await desk.run("models", "list", "--json")).out)
            if any(name in model["names"] for model in listed["models"]):
                return time.monotonic() - began_s
