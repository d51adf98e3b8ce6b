"""Imports point one way, the core is pure, and messages meet core types in one place."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.tidy.tree import ROOT, sources
from tests.tidy.walls import MAY_IMPORT, OURS, breaches

FORBIDDEN = [
    ("mesh.core.fleet", "import time", "imports time"),
    ("mesh.core.fleet", "from datetime import datetime", "imports datetime.datetime"),
    ("mesh.core.fleet", "import random", "imports random"),
    ("mesh.core.fleet", "from random import choice", "imports random.choice"),
    ("mesh.core.fleet", "def f():\n    import asyncio", "imports asyncio"),
    ("mesh.core.fleet", "import os.path", "imports os.path"),
    ("mesh.core.fleet", "import grpc", "imports grpc"),
    ("mesh.core.fleet", "from mesh.errors import MeshError", "imports mesh.errors.MeshError"),
    ("mesh.core.fleet", "from mesh.v1 import fleet_pb2", "imports mesh.v1.fleet_pb2"),
    ("mesh.core.fleet", "from ..v1 import fleet_pb2", "imports mesh.v1.fleet_pb2"),
    ("mesh.core.fleet", "from .. import client", "imports mesh.client"),
    ("mesh.core.fleet", "open('x')", "calls open()"),
    ("mesh.sim.network", "from mesh.rpc import channel", "imports mesh.rpc.channel"),
    ("mesh.client", "import coordinator.loop", "imports coordinator.loop"),
    ("mesh.client", "from node_agent import agent", "imports node_agent.agent"),
    ("mesh.client", "import models", "imports models"),
    ("node_agent.agent", "from coordinator import loop", "imports coordinator.loop"),
    ("coordinator.loop", "import node_agent", "imports node_agent"),
    ("coordinator.loop", "from tests import fixtures", "imports tests.fixtures"),
    ("node_agent.engine.llama", "import google.protobuf", "imports google.protobuf"),
    ("mesh.settings", "from mesh.v1 import fleet_pb2", "imports mesh.v1.fleet_pb2"),
    ("scripts.setup", "from mesh.errors import MeshError", "imports mesh.errors.MeshError"),
    ("docs.client", "import bench", "imports bench"),
]
TRANSLATING = """
from mesh.core import node
from mesh.core.types import Load, NodeId
from mesh.v1 import fleet_pb2 as fleet

def read(message: fleet.Load) -> Load:
    return Load(cpu=message.cpu, memory=message.memory.used)

def write(self, load: "Load | None") -> fleet.Load:
    return fleet.Load(cpu=load.cpu, memory=load.memory)

def read_node(message: fleet.Node) -> None:
    self.nodes.append(node.Node(message.id, message.name))
"""
ASSEMBLING = """
from mesh.core.types import Load, NodeId
from mesh.core.events import NodeAttached
from mesh.v1 import fleet_pb2 as fleet
from mesh.wire.nodes import read_load

def attached(hello: fleet.Hello, address: str) -> NodeAttached:
    return NodeAttached(NodeId(hello.id), load=read_load(hello.report), address=address)
"""
ALLOWED = [
    ("mesh.core.fleet", "from random import Random\nimport math\nfrom .types import Model"),
    ("mesh.core", "from .types import Model", True),
    ("mesh.sim.network", "from mesh.core import fleet"),
    ("coordinator.loop", "import asyncio\nimport grpc\nfrom mesh.v1 import fleet_pb2"),
    ("mesh.wire.nodes", TRANSLATING),
    ("coordinator.loop", ASSEMBLING),
]


@pytest.mark.parametrize(("module", "source", "breach"), FORBIDDEN)
def test_the_checker_sees_what_is_forbidden(module: str, source: str, breach: str) -> None:
    assert breaches(module, source) == [breach]


@pytest.mark.parametrize("case", ALLOWED, ids=lambda case: case[0])
def test_the_checker_lets_through_what_is_allowed(case: tuple[str, str, bool]) -> None:
    module, source, *is_package = case
    assert breaches(module, source, is_package=bool(is_package)) == []


def test_the_checker_sees_a_translation_outside_the_wire() -> None:
    assert breaches("coordinator.loop", TRANSLATING) == [
        "translates messages in read()",
        "translates messages in write()",
        "translates messages in read_node()",
    ]


def test_every_module_keeps_to_its_place() -> None:
    found = {}
    for path, source in sources(".py"):
        if path.parts[0] in OURS:
            module = module_of(path)
            found[module] = breaches(module, source, is_package=path.name == "__init__.py")
    assert {module: wrong for module, wrong in found.items() if wrong} == {}
    assert len(found) > 20, "the walk found too few modules to have been right"


def test_every_folder_of_python_has_its_rule() -> None:
    folders = {path.parts[0] for path, _ in sources(".py")}
    assert folders <= MAY_IMPORT.keys()


def test_importing_the_core_loads_nothing_that_waits_or_talks() -> None:
    core = [module_of(path) for path, _ in sources(".py") if path.is_relative_to("mesh/core")]
    impure = ("asyncio", "google.protobuf", "grpc", "logging", "pydantic", "socket", "threading")
    program = f"import sys, {', '.join(core)}; print([m for m in {impure} if m in sys.modules])"
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "[]"


def module_of(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
