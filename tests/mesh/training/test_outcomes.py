"""Outcomes are read as they are, and a line that is none is named."""

import gzip
import json
from pathlib import Path

import pytest

from mesh.errors import InvalidRequest
from mesh.training.outcomes import prompt_hash, read_outcomes
from tests.mesh.training.made import write_rows

GOOD = '{"prompt": "a", "domain": null, "outcomes": {"m": {"score": 1}}}'


def test_plain_and_gzipped_files_read_the_same(tmp_path: Path) -> None:
    plain = write_rows(tmp_path / "plain", 20)
    packed = tmp_path / "packed"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert read_outcomes([plain]) == read_outcomes([packed])
    assert len(read_outcomes([plain, packed]).rows) == 40


def test_a_model_may_be_missing_anywhere(tmp_path: Path) -> None:
    other = GOOD.replace('"m"', '"n"')
    (tmp_path / "f").write_text(f"{GOOD}\n\n{other}\n", encoding="utf-8")
    found = read_outcomes([tmp_path / "f"])
    assert found.models == ("m", "n")
    assert str(found.scores(["m", "n"]).tolist()) == "[[1.0, nan], [nan, 1.0]]"
    assert found.with_all_of(["m", "n"]).rows == []


def test_a_domain_that_is_no_name_is_unknown_and_told(tmp_path: Path) -> None:
    (tmp_path / "f").write_text(GOOD.replace("null", "0"), encoding="utf-8")
    found = read_outcomes([tmp_path / "f"])
    assert found.rows[0].domain == ""
    assert "1 rows" in found.notes[0]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "no JSON"),
        ("[]", "no JSON object"),
        (GOOD.replace('"a"', "3"), "`prompt`"),
        (GOOD.replace('{"score": 1}', "1"), "`outcomes`"),
        ('{"prompt": "secret", "outcomes": null}', "`outcomes`"),
        (GOOD.replace("1}", "2}"), "the score of 'm'"),
        (GOOD.replace("1}", "NaN}"), "the score of 'm'"),
        (GOOD.replace("1}", "true}"), "the score of 'm'"),
        (GOOD.replace("1}", '1, "tokens": 3}'), "tokens"),
        (GOOD.replace("1}", '1, "tokens": [{"logprob": "x"}]}'), "token"),
        (GOOD.replace("1}", '1, "tokens": [{"top_logprobs": [0, null]}]}'), "token"),
    ],
)
def test_a_broken_line_is_named_with_its_file(line: str, why: str, tmp_path: Path) -> None:
    (tmp_path / "some.jsonl").write_text(f"{GOOD}\n{line}\n", encoding="utf-8")
    with pytest.raises(InvalidRequest, match=why) as raised:
        read_outcomes([tmp_path / "some.jsonl"], with_signs=True)
    assert "some.jsonl line 2" in raised.value.message
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    "content", [b"", b"\n\n", b"\x1f\x8b\x08\x00", gzip.compress(b"x" * 9)[:-6]]
)
def test_a_file_without_outcomes_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(content)
    with pytest.raises(InvalidRequest, match="f"):
        read_outcomes([tmp_path / "f"])


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="can't be read"):
        read_outcomes([tmp_path / "none"])


def test_tokens_are_read_as_a_node_would_tell_them(tmp_path: Path) -> None:
    tokens = [{"logprob": -0.1, "top_logprobs": [-0.1, -3, float("-inf")]}, {"logprob": -2.0}]
    row = {"prompt": "a", "outcomes": {"m": {"score": 1, "tokens": tokens}}}
    (tmp_path / "f").write_text(json.dumps(row), encoding="utf-8")
    signs = read_outcomes([tmp_path / "f"], with_signs=True).rows[0].signs["m"]
    assert [round(sum(each.top), 3) for each in signs] == [1.0, 1.0]
    assert read_outcomes([tmp_path / "f"]).rows[0].signs == {}


def test_a_prompt_is_known_again_whatever_its_white_space() -> None:
    assert prompt_hash("What is\n it?") == prompt_hash(" what IS it? ")
    assert prompt_hash("what is it") != prompt_hash("what is it?")
