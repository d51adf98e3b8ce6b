"""The pins are complete, agree with each other, and are what ``pyproject.toml`` asks for."""

import re
import tomllib
from collections.abc import Iterator

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scripts.requirements import ENGINE, FILES, engine_requirement
from tests.tidy.tree import ROOT

PIN = re.compile(
    r"^([a-z0-9.-]+)==(\S+)((?: ;[^\\\n]*)?)((?: *\\\n +--hash=sha256:[0-9a-f]{64})+)$", re.M
)


def pins(name: str) -> set[tuple[str, str]]:
    """Return what a file pins, as names and versions; one package may have several, by platform."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    found = {(pin[1], pin[2]) for pin in PIN.finditer(text)}
    assert len(found) == len(re.findall(r"^\S+==", text, re.M)), (
        f"{name}.txt has a pin without a hash"
    )
    return found


def wanted(*extras: str) -> Iterator[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for group in (project["dependencies"], *(project["optional-dependencies"][e] for e in extras)):
        yield from (Requirement(line) for line in group)


@pytest.mark.parametrize("name", FILES)
def test_every_pin_has_a_hash(name: str) -> None:
    assert pins(name)


def test_dev_holds_all_that_node_holds() -> None:
    assert pins("node") <= pins("dev")


@pytest.mark.parametrize(("name", "extras"), [("node", ["node"]), ("dev", ["node", "dev"])])
def test_the_pins_are_what_the_project_asks_for(name: str, extras: list[str]) -> None:
    pinned = pins(name) | pins("engine")
    unmet = [
        str(requirement)
        for requirement in wanted(*extras)
        if not any(
            package == canonicalize_name(requirement.name)
            and requirement.specifier.contains(version)
            for package, version in pinned
        )
    ]
    assert unmet == [], "run `make requirements`"


def test_only_one_file_names_the_engine_because_it_is_compiled_apart() -> None:
    assert {name for name in FILES if any(package == ENGINE for package, _ in pins(name))} == {
        "engine"
    }
    assert {f"{package}=={version}" for package, version in pins("engine")} == {
        engine_requirement(ROOT)
    }


def test_the_engine_finds_its_dependencies_among_the_others() -> None:
    packages = {package for package, _ in pins("node")}
    assert {"numpy", "jinja2", "diskcache", "typing-extensions"} <= packages
