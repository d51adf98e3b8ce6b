"""Reading outcomes: what models' answers to prompts were worth, as JSON lines, plain or gzipped.

One object a line: ``prompt``; ``domain`` (a name, or null); ``outcomes``, model name -> ``score``
in [0, 1] (1 = right) and, where known, ``cost_microusd`` and ``tokens``: one entry for each token
of the answer, with ``logprob`` of the chosen one and ``top_logprobs``, natural logarithms, highest
first.
A prompt that was put several times is several lines. Models may be missing from any line.
"""

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mesh.core.signs import TokenSign
from mesh.errors import InvalidRequest

GZIP_MAGIC = b"\x1f\x8b"
LINE_BYTES_MAX = 32_000_000  # a prompt of 1 MB and a hundred answers with tokens; more is a mistake
FORMAT = 'a line is {"prompt": text, "domain": name or null, "outcomes": {model: {"score": 0..1}}}'

Signs = tuple[TokenSign, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One prompt, and what each model's answer to it was worth."""

    prompt: str
    domain: str  # "" where it is not known
    scores: Mapping[str, float]
    signs: Mapping[str, Signs]  # of those answers whose tokens are known


@dataclass(frozen=True, slots=True)
class Outcomes:
    """All rows of one or more files, in their order; ``notes`` are for who reads the results."""

    rows: Sequence[Row]
    notes: Sequence[str]

    @property
    def models(self) -> tuple[str, ...]:
        """Every model that answered, in the order in which they first appear."""
        return tuple(dict.fromkeys(model for row in self.rows for model in row.scores))

    def scores(self, models: Sequence[str]) -> NDArray[np.float64]:
        """Return the scores, shape (rows, models); NaN where a model did not answer."""
        return np.array(
            [[row.scores.get(model, np.nan) for model in models] for row in self.rows]
        ).reshape(len(self.rows), len(models))

    def with_all_of(self, models: Sequence[str]) -> "Outcomes":
        """Return the rows that each of ``models`` answered."""
        kept = [row for row in self.rows if all(model in row.scores for model in models)]
        return Outcomes(kept, self.notes)


def read_outcomes(paths: Sequence[Path], *, with_signs: bool = False) -> Outcomes:
    """Read files of outcomes; ``with_signs`` also reads what is known of the answers' tokens.

    Raises:
        InvalidRequest: a file can't be read, or a line is not an outcome: says which, and why.
    """
    rows: list[Row] = []
    unnamed = 0
    for path in paths:
        for number, line in _lines(path):
            try:
                row, named = _row(line, with_signs=with_signs)
            except ValueError as wrong:
                raise InvalidRequest(f"{path} line {number}: {wrong}", hint=FORMAT) from None
            rows.append(row)
            unnamed += not named
    if not rows:
        raise InvalidRequest(f"{_named(paths)} holds no outcomes", hint=FORMAT)
    notes = []
    if unnamed:
        notes.append(f"{unnamed} rows have a domain that is no name; it is taken as unknown")
    return Outcomes(rows, notes)


def prompt_hash(prompt: str) -> int:
    """Return 32 bits by which a prompt is known again, whatever its case and white space."""
    return zlib.crc32(" ".join(prompt.lower().split()).encode("utf-8", "replace"))


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == GZIP_MAGIC
        with gzip.open(path, "rb") if packed else path.open("rb") as file:
            number = 0
            while line := file.readline(LINE_BYTES_MAX + 1):
                number += 1
                if len(line) > LINE_BYTES_MAX:
                    raise InvalidRequest(
                        f"{path} line {number} is longer than {LINE_BYTES_MAX // 1_000_000} MB",
                        hint=FORMAT,
                    )
                if line.strip():
                    yield number, line
    except (OSError, EOFError, zlib.error) as failure:
        why = getattr(failure, "strerror", None) or str(failure) or "it ends too early"
        raise InvalidRequest(
            f"{path} can't be read: {why}", hint="is it whole, and readable?"
        ) from None


def _row(line: bytes, *, with_signs: bool) -> tuple[Row, bool]:
    """Raise ``ValueError`` with what is wrong, never with what the prompt says."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as wrong:
        where = f" (column {wrong.colno})" if isinstance(wrong, json.JSONDecodeError) else ""
        raise ValueError(f"this is no JSON{where}") from None
    if not isinstance(found, dict):
        raise ValueError("this is no JSON object")
    prompt, domain, outcomes = found.get("prompt"), found.get("domain"), found.get("outcomes")
    if not isinstance(prompt, str):
        raise ValueError("`prompt` is missing or no text")
    if not isinstance(outcomes, dict) or not all(isinstance(o, dict) for o in outcomes.values()):
        raise ValueError("`outcomes` is missing, or not an object of objects")
    scores = {model: _score(model, outcome) for model, outcome in outcomes.items()}
    signs = {
        model: _signs(model, outcome["tokens"])
        for model, outcome in outcomes.items()
        if with_signs and outcome.get("tokens") is not None
    }
    # A number as domain is somebody's index or label, and may well tell the outcome.
    named = domain is None or isinstance(domain, str)
    return Row(prompt, domain if isinstance(domain, str) else "", scores, signs), named


def _score(model: str, outcome: Mapping[str, Any]) -> float:
    score = outcome.get("score")
    if isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 1:
        raise ValueError(f"the score of {model[:80]!r} is missing or not a number from 0 to 1")
    return float(score)


def _signs(model: str, tokens: object) -> Signs:
    if not isinstance(tokens, list):
        raise ValueError(f"the tokens of {model[:80]!r} are no list")
    signs = []
    for token in tokens:
        top = token.get("top_logprobs") if isinstance(token, dict) else None
        own = token.get("logprob") if isinstance(token, dict) else None
        numbers: list[object] = top if isinstance(top, list) and top else [own]
        logprobs = [float(n) for n in numbers if isinstance(n, int | float) and n is not True]
        if len(logprobs) != len(numbers):
            raise ValueError(
                f"a token of {model[:80]!r} has neither `logprob` nor `top_logprobs` in numbers"
            )
        said = float(own) if isinstance(own, int | float) and len(logprobs) > 1 else None
        signs.append(TokenSign.of_logprobs(logprobs, said))
    return tuple(signs)


def _named(paths: Sequence[Path]) -> str:
    return ", ".join(str(path) for path in paths)
