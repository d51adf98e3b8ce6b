"""Heads answer chances; a file of them comes back as it was, or says what is wrong with it."""

import json
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mesh.core.asked import BIG, SMALL
from mesh.core.features import BUCKETS, SURFACE_NAMES, Features, prompt_features
from mesh.core.scorer import TRUSTED_FROM_LABELS, Head, Scorer, Source
from mesh.core.scorer_format import scorer_from_text, scorer_to_text
from mesh.errors import InvalidRequest
from mesh.scorer_file import read_scorer, shipped_scorer, write_scorer

NO_SURFACE = (0.0,) * len(SURFACE_NAMES)


def a_head(
    *,
    labels: int = 500,
    words: dict[int, int] | None = None,
    domain: dict[int, float] | None = None,
    surface: tuple[float, ...] = NO_SURFACE,
) -> Head:
    levels, none = array("b", bytes(BUCKETS)), array("b", bytes(BUCKETS))
    for bucket, level in (words or {}).items():
        levels[bucket] = level
    bounds = (0.0,) * len(SURFACE_NAMES), (2.0,) * len(SURFACE_NAMES)
    return Head(labels, 0.25, surface, *bounds, levels, none, 0.5, 0.5, domain or {})


def a_scorer() -> Scorer:
    return Scorer(
        heads={SMALL: a_head(), BIG: a_head(words={3: -40, 4: 40}), "new": a_head(labels=199)},
        sources=(Source("a set", "MIT", 12),),
        seen=(1, 2**32 - 1),
    )


def test_a_head_sums_what_it_knows_of_a_prompt() -> None:
    head = a_head(words={7: 4, 8: -2}, domain={5: 1.0})
    plain = head.p_ok(Features(NO_SURFACE, (), ()))
    assert plain == pytest.approx(1 / (1 + 2.718281828**-0.25), rel=1e-6)
    assert head.p_ok(Features(NO_SURFACE, (7,), ())) > plain
    assert head.p_ok(Features(NO_SURFACE, (8,), ())) < plain
    assert head.p_ok(Features(NO_SURFACE, (7, 8), ())) > plain  # 4 - 2 > 0
    assert head.p_ok(Features(NO_SURFACE, (), (), (5,))) > plain
    assert head.p_ok(Features(NO_SURFACE, (), (), (6,))) == plain


def test_beyond_what_a_head_has_seen_the_nearest_counts() -> None:
    head = a_head(surface=(1.0, *NO_SURFACE[1:]))
    shown = [head.p_ok(Features((value, *NO_SURFACE[1:]), (), ())) for value in (-9, 0, 1, 2, 99)]
    assert shown[0] == shown[1] < shown[2] < shown[3] == shown[4]


def test_a_head_with_few_labels_is_not_trusted() -> None:
    scorer = a_scorer()
    assert scorer.trusted == {SMALL, BIG}
    assert scorer.labels["new"] == TRUSTED_FROM_LABELS - 1


def test_a_model_without_a_head_gets_a_generic_one() -> None:
    scorer = a_scorer()
    assert scorer.head_of("new", big=True) == "new"
    assert (scorer.head_of("other", big=True), scorer.head_of("other", big=False)) == (BIG, SMALL)


def test_chances_are_a_mapping_of_every_head() -> None:
    chances = a_scorer().p_ok(prompt_features("what is it?"))
    assert set(chances) == {SMALL, BIG, "new"}
    assert all(0 < chance < 1 for chance in chances.values())
    with pytest.raises(KeyError):
        chances["other"]


def test_a_file_brings_back_what_was_written(tmp_path: Path) -> None:
    size_bytes = write_scorer(a_scorer(), tmp_path / "s")
    assert size_bytes == (tmp_path / "s").stat().st_size
    found = read_scorer(tmp_path / "s")
    assert found.heads == a_scorer().heads
    assert (found.sources, tuple(found.seen)) == (a_scorer().sources, a_scorer().seen)
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


def broken(change: Callable[[dict[str, Any]], object]) -> str:
    plain = json.loads(scorer_to_text(a_scorer()))
    change(plain)
    return json.dumps(plain)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[]", "no scorer"),
        ('{"format": "other"}', "no scorer"),
        (broken(lambda s: s.update(version=2)), "version 2, and this deskmesh reads 1"),
        (broken(lambda s: s.update(buckets=64)), "other features"),
        (broken(lambda s: s["surface"].reverse()), "other features"),
        (broken(lambda s: s.pop("heads")), "broken"),
        (broken(lambda s: s.update(heads=[])), "broken"),
        (broken(lambda s: s["heads"][BIG].update(words="!" * 7)), "cut off"),
        (broken(lambda s: s["heads"][BIG].update(words='"' * BUCKETS)), "no weights"),
        (broken(lambda s: s["heads"][BIG].update(bias=float("nan"))), "no number"),
        (broken(lambda s: s["heads"][BIG]["surface"].pop()), "lacks weights"),
        (broken(lambda s: s["heads"][BIG].update(domain=3)), "broken"),
        (broken(lambda s: s.update(seen="12345")), "cut off"),
        (broken(lambda s: s.update(seen="g" * 8)), "no list"),
        (broken(lambda s: s.update(confidence={"m": {}})), "broken"),
    ],
)
def test_a_broken_scorer_says_what_is_wrong(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        scorer_from_text(text)


@pytest.mark.parametrize("content", [b"", b"\x1f\x8b", b"plain text", b"\x1f\x8b\x08" + b"x" * 99])
def test_a_file_that_is_no_scorer_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "s").write_bytes(content)
    with pytest.raises(InvalidRequest, match="route train"):
        read_scorer(tmp_path / "s")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="can't be read"):
        read_scorer(tmp_path / "none")
    with pytest.raises(InvalidRequest, match="can't be written"):
        write_scorer(a_scorer(), tmp_path / "none" / "s")


def test_the_shipped_scorer_has_generic_heads_and_says_whose_outcomes_taught_it() -> None:
    shipped = shipped_scorer()
    assert {SMALL, BIG} <= shipped.trusted
    assert all(name.startswith("test-") for name in shipped.trusted - {SMALL, BIG})
    assert {source.licence for source in shipped.sources} == {"MIT", "Apache-2.0"}
    assert [source.rows for source in shipped.sources] == [5608, 5222, 3400]
    easy = shipped.p_ok(prompt_features("What is the capital of France?"))
    hard = shipped.p_ok(
        prompt_features(
            "Derive $\\int_0^1 \\frac{\\ln(1+x)}{1+x^2}\\,dx$ and its error in closed form."
        )
    )
    assert easy[SMALL] > hard[SMALL]
