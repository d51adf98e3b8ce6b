"""``rules.toml`` is read whole or not at all, and a mistake is told with its place."""

from pathlib import Path

import pytest

from mesh.core.conditions import Conditions
from mesh.core.rules import RULES_MAX
from mesh.core.types import Tier
from mesh.errors import InvalidRequest
from mesh.rules_file import FILE_BYTES_MAX, load_rules, read_rules

GOOD = """
[[rules]]
name = "secrets stay in the mesh"
when = { words = ["password", "api key"], tier = "cloud" }
unless = { team = "security" }
forbid = "cloud"

[[rules]]
name = "nights are cheap"
when.hours = "22:00-06:00"
when.weekdays = ["mon-fri"]
prefer = ["specialists", "local"]
cost_usd_max = 0.01
tier_max = "mesh"
"""


def test_a_file_is_read_in_its_order() -> None:
    first, second = read_rules(GOOD, "rules.toml").rules
    assert first.name == "secrets stay in the mesh"
    assert first.when == Conditions(tier=(Tier.CLOUD,), words=("password", "api key"))
    assert first.unless == Conditions(team=("security",))
    assert str(first.forbid) == "cloud"
    assert second.when == Conditions(hours=("22:00-06:00",), weekdays=("mon-fri",))
    assert str(second.prefer) == "specialists, local"
    assert (second.cost_microusd_max, second.tier_max) == (10_000, Tier.MESH)


def test_money_left_is_counted_in_millionths() -> None:
    text = '[[rules]]\nname = "x"\nforbid = "cloud"\nwhen.budget_left_below_usd = 1.5\n'
    (rule,) = read_rules(text, "rules.toml").rules
    assert rule.when.budget_left_below_microusd == 1_500_000


def test_without_a_file_there_are_no_rules(tmp_path: Path) -> None:
    assert not load_rules(tmp_path / "rules.toml")


def test_a_file_of_comments_has_no_rules(tmp_path: Path) -> None:
    (tmp_path / "rules.toml").write_text("# none yet\n")
    assert not load_rules(tmp_path / "rules.toml")


RULE = '# first\n[[rules]]\nname = "one"\n'


@pytest.mark.parametrize(
    ("text", "says", "hint"),
    [
        (RULE, "line 2, rule 'one': it does nothing", "mend the file"),
        (RULE + 'forbit = "cloud"', "line 4, rule 'one': there is no key forbit", "mean forbid?"),
        (
            RULE + 'forbid = "cloud"\nteam = "ops"',
            "line 5, rule 'one': there is no key team",
            "write when = { team = ... }",
        ),
        (
            RULE + 'forbid = "cloud"\n[rules.when]\nteem = "ops"',
            "line 6, rule 'one': there is no key when.teem",
            "did you mean team?",
        ),
        (
            RULE + 'when = { forbid = "cloud" }',
            "line 4, rule 'one': there is no key when.forbid",
            "forbid stands beside when",
        ),
        (
            RULE + 'forbid = ["cloud",\n"size<8x"]',
            "line 4, rule 'one': forbid: 'size<8x' means",
            "",
        ),
        (RULE + "forbid = []", "line 4, rule 'one': forbid:", ""),
        (RULE + "forbid = 3", "line 4, rule 'one': forbid:", ""),
        (RULE + 'tier_max = "cloud"', "line 4, rule 'one': tier_max:", ""),
        (RULE + "cost_usd_max = -1", "line 4, rule 'one': cost_usd_max:", ""),
        (RULE + "cost_usd_max = 0", "line 4, rule 'one': cost_usd_max:", ""),
        (RULE + "cost_usd_max = nan", "line 4, rule 'one': cost_usd_max:", ""),
        (
            RULE + 'forbid = "cloud"\nwhen.tier = "clowd"',
            "line 5, rule 'one': when.tier: 'clowd' is none of device, mesh, cloud",
            "",
        ),
        (RULE + 'forbid = "any"\nwhen.initiator = "robot"', "line 5, .*'robot' is none of", ""),
        (RULE + 'forbid = "any"\nwhen.hours = "9-17"', "line 5, .*'9-17' are no hours", ""),
        (RULE + 'forbid = "any"\nwhen.weekdays = "x"', "line 5, .*'x' is no weekday", ""),
        (RULE + 'forbid = "any"\nwhen.words = "-"', "line 5, .*'-' is no word", ""),
        (RULE + 'forbid = "any"\nwhen.tools = "yes"', "line 5, .*when.tools:", ""),
        (
            RULE + 'forbid = "any"\nwhen = {prompt_bytes_min = 2, prompt_bytes_max = 1}',
            "line 5, .*never applies",
            "",
        ),
        (RULE + 'forbid = "any"\nunless = {}', "line 5, .*unless: it is empty", ""),
        ('[[rules]]\nforbid = "any"', "line 1, rule 1: it has no name", ""),
        ('[[rules]]\nname = ""\nforbid = "any"', "line 2, rule '': name:", ""),
        ('[[rules]]\nname = "a\\nb"\nforbid = "any"', "line 2, .*printable", ""),
        (
            RULE + 'forbid = "any"\n\n[[rules]]\nforbid = "any"\nname = "one"',
            "line 8, rule 'one': the rule on line 2 has the same name",
            "",
        ),
        ("[[rule]]\nname = 'x'", "line 1: there is no table rule", "did you mean rules?"),
        ("[rules]\nname = 'x'", "line 1: rules are tables: begin each with", ""),
        ("rules = 3", "line 1: rules are tables: begin each with", ""),
        ("rules = [3]", "line 1, rule 1: rules are tables: begin each with", ""),
        ("[[rules]\n", "is not valid TOML: .*line 1", ""),
        ("a = 1\na = 2", "is not valid TOML: .*line 2", ""),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_mistake_is_told_with_file_line_and_rule(
    text: str, says: str, hint: str, newline: str
) -> None:
    with pytest.raises(InvalidRequest, match=rf"^rules\.toml.*{says}") as refused:
        read_rules(text.replace("\n", newline), "rules.toml")
    assert hint in refused.value.hint
    assert "Value error" not in refused.value.message


def test_more_rules_than_anybody_reads_are_refused() -> None:
    text = "".join(f'[[rules]]\nname = "{n}"\nforbid = "any"\n' for n in range(RULES_MAX + 1))
    with pytest.raises(InvalidRequest, match=f"at most {RULES_MAX} rules"):
        read_rules(text, "rules.toml")


def test_words_of_all_rules_together_are_bounded() -> None:
    rule = '[[rules]]\nname = "{}"\nforbid = "any"\nwhen.words = [{}]\n'
    text = "".join(
        rule.format(n, ", ".join(f'"a {n} {each}"' for each in range(100))) for n in range(2)
    )
    with pytest.raises(InvalidRequest, match="are looked for"):
        read_rules(text, "rules.toml")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"# \xff", "line 1: it is not UTF-8"),
        (b"\n\n# \xff", "line 3: it is not UTF-8"),
        (b"#" * (FILE_BYTES_MAX + 1), "larger than 1 MiB"),
    ],
)
def test_a_file_that_is_no_text_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    file = tmp_path / "rules.toml"
    file.write_bytes(content)
    with pytest.raises(InvalidRequest, match=says):
        load_rules(file)


def test_a_mark_that_an_editor_put_first_is_no_mistake(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert len(load_rules(file).rules) == 2


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="cannot be read: is a directory"):
        load_rules(tmp_path)
