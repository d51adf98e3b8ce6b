"""docs/routing-rules.md is true: its rules load, its keys are all there are, its error is ours."""

import re
import shlex

import pytest
import typer
from typer.testing import CliRunner

from mesh.cli import route
from mesh.core.model_choice import Models
from mesh.core.rule_words import LOOKED_AT_CHARACTERS, PHRASES_MAX, WORDS_MAX
from mesh.core.rules import RULES_MAX
from mesh.errors import InvalidRequest
from mesh.rule_sections import EFFECTS, ConditionsSection
from mesh.rules_file import read_rules
from tests.whole.machine import ROOT

DOCUMENT = (ROOT / "docs" / "routing-rules.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", DOCUMENT, re.DOTALL)
    assert found
    return found[1]


def keys_of(section: str) -> set[str]:
    """The keys in the first column of a section's first table."""
    rows = DOCUMENT.partition(f"## {section}\n")[2].partition("\n\n**")[0]
    first = re.findall(r"^\| (`[^|]+`) \|", rows.partition("\n\nModels")[0], re.MULTILINE)
    return {key for cell in first for key in re.findall(r"`([^`]+)`", cell)}


def test_its_rules_are_read() -> None:
    rules = read_rules(block("toml"), "rules.toml").rules
    assert len(rules) == block("toml").count("[[rules]]") == 4


def test_every_condition_and_effect_is_told_and_no_other() -> None:
    assert keys_of("When a rule applies") == set(ConditionsSection.model_fields)
    assert keys_of("What a rule does") == set(EFFECTS)


def test_each_text_that_it_shows_means_models() -> None:
    table = DOCUMENT.partition("| text | means |")[2].partition("\n\n")[0]
    texts = [
        text
        for cell in re.findall(r"^\| (`[^|]+`) \|", table, re.MULTILINE)
        for text in re.findall(r"`([^`]+)`", cell)
    ]
    assert len(Models(tuple(texts)).texts) == 10


def test_the_mistake_that_it_shows_is_told_so() -> None:
    shown = re.search(r"```\n(rules\.toml.*)\n```", DOCUMENT)
    assert shown
    wrong = block("toml").replace("\nforbid", "\nforbit", 1)
    wrong = wrong.replace('when = { words = ["password", "api key", "密码"] }\n', "")
    wrong = wrong.replace('unless = { team = "security" }\n', "")
    with pytest.raises(InvalidRequest) as refused:
        read_rules(wrong, "rules.toml")
    assert str(refused.value) == shown[1]


def test_its_commands_are_understood() -> None:
    commands = typer.Typer()
    route.register(commands)
    lines = [line for line in block("sh").splitlines() if line]
    assert len(lines) == 2
    for line in lines:
        words = shlex.split(line)[1:]
        invoked = CliRunner().invoke(commands, words, env={"DESKMESH_HOME": "/nonexistent"})
        assert invoked.exit_code != 2, invoked.output  # understood, though no coordinator is there


def test_its_numbers_are_ours() -> None:
    numbers = (RULES_MAX, WORDS_MAX, PHRASES_MAX, LOOKED_AT_CHARACTERS)
    assert all(f"{number:,}" in DOCUMENT for number in numbers)
