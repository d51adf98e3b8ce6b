"""On which line of a TOML file each key stands."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.toml_lines import TomlPath, line_of, lines_of

TEXT = '''# [[rules]] in a comment
title = "a # and a [[rules]] in a string"   # [not a table]

[[rules]]
name = 'literal ] # "'
when = { team = "ops", words = ["[[rules]]", "#"] }
forbid = [  # a comment ] with a bracket
  "cloud",
  "size>8b",
]

[[rules]]  # the second
name = """
[[rules]]
several \\""" lines"""
"quoted key" = 1
allow = [["nested"], []]

[rules.when]
team = "dev"
hours = [
  "22:00-06:00" ]
dotted.key.'with space' = 1

[[rules.inner]]
a = 1
[[rules.inner]]
a = 2

[[rules]]
name = \'\'\'
'' ends \'\'\'\'\'
[[rules.inner]]
a = 3
[other."dotted.name"]
x = 2020-01-01 00:00:00
'''


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("title",), 2),
        (("rules", 0), 4),
        (("rules", 0, "name"), 5),
        (("rules", 0, "when"), 6),
        (("rules", 0, "forbid"), 7),
        (("rules", 1), 12),
        (("rules", 1, "name"), 13),
        (("rules", 1, "quoted key"), 16),
        (("rules", 1, "allow"), 17),
        (("rules", 1, "when"), 19),
        (("rules", 1, "when", "team"), 20),
        (("rules", 1, "when", "hours"), 21),
        (("rules", 1, "when", "dotted", "key", "with space"), 23),
        (("rules", 1, "inner", 0), 25),
        (("rules", 1, "inner", 1, "a"), 28),
        (("rules", 2), 30),
        (("rules", 2, "name"), 31),
        (("rules", 2, "inner", 0, "a"), 34),
        (("other", "dotted.name", "x"), 36),
    ],
)
def test_each_key_has_its_line(newline: str, path: TomlPath, line: int) -> None:
    text = TEXT.replace("\n", newline)
    tomllib.loads(text)  # the text is one that may be asked about
    assert lines_of(text)[path] == line


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("rules", 0, "when", "team"), 6),
        (("rules", 0, "forbid", 1), 7),
        (("rules", 1, "missing"), 12),
        (("nowhere",), 1),
        ((), 1),
    ],
)
def test_what_has_no_line_of_its_own_is_on_that_of_what_is_around_it(
    path: TomlPath, line: int
) -> None:
    assert line_of(path, lines_of(TEXT)) == line


TEXTS = st.text("[]{}#=\"'\\\n,. ab", max_size=12)


def written(text: str, style: str) -> str:
    """One string in TOML, in one of its styles."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    match style:
        case "long":
            return f'"""\n{escaped}"""'
        case "literal" if "'" not in text:
            return f"'''{text}'''"
        case "list":
            return f'[ # ]\n"""{escaped}""", [{{ a = """{escaped}""" }}],\n]'
        case _:
            return '"' + escaped.replace("\n", "\\n") + '"'


@given(
    st.lists(
        st.lists(st.tuples(TEXTS, st.sampled_from(["long", "literal", "list", "short"]))),
        max_size=4,
    )
)
def test_no_string_and_no_list_leads_the_walk_astray(tables: list[list[tuple[str, str]]]) -> None:
    text = ""
    expected: dict[TomlPath, int] = {}
    for index, values in enumerate(tables):
        expected["rules", index] = text.count("\n") + 1
        text += "[[rules]] # [[rules]]\n"
        for number, (value, style) in enumerate(values):
            expected["rules", index, f"k{number}"] = text.count("\n") + 1
            text += f"k{number} = {written(value, style)} # ] '\n"
    tomllib.loads(text)
    assert lines_of(text) == expected


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing", "a = 1", "[a]", "[[a]]\n[[a]]"])
def test_short_texts_are_walked(text: str) -> None:
    lines_of(text)
