"""A scorer as one JSON document, and back. Weights of words and pairs are one character each."""

import json
from array import array
from collections.abc import Mapping
from itertools import chain
from math import isfinite
from string import hexdigits
from typing import Any

from mesh.core.calibration import ConfidenceHead
from mesh.core.domains import BUCKETS as WORD_BUCKETS
from mesh.core.domains import Domain
from mesh.core.features import BUCKETS, DOMAIN_BUCKETS, SURFACE_NAMES
from mesh.core.scorer import VERSION, Head, Scorer, Source

FORMAT = "deskmesh-scorer"
LEVELS = 40  # weights are whole numbers from -LEVELS to LEVELS
HEADS_MAX = 1000  # a file of more is a mistake, and would fill the memory
HEX_DIGITS = 8  # of a prompt's hash

# Printable, and none that JSON would escape: a file stays text, and packs to half its size.
_ALPHABET = bytes(c for c in range(33, 127) if c not in b'"\\')[: 2 * LEVELS + 1]
_TO_LEVEL = bytes.maketrans(_ALPHABET, bytes(range(len(_ALPHABET))))
_TO_BYTE = bytes.maketrans(_ALPHABET, bytes((i - LEVELS) % 256 for i in range(len(_ALPHABET))))


def scorer_to_text(scorer: Scorer) -> str:
    """Return the document."""
    return json.dumps(
        {
            "format": FORMAT,
            "version": VERSION,
            "surface": list(SURFACE_NAMES),
            "buckets": BUCKETS,
            "domain_buckets": DOMAIN_BUCKETS,
            "sources": [
                {"name": each.name, "licence": each.licence, "rows": each.rows}
                for each in scorer.sources
            ],
            "heads": {name: _head_to_plain(head) for name, head in scorer.heads.items()},
            "confidence": {name: head.to_plain() for name, head in scorer.confidence.items()},
            "domains": {name: _domain_to_plain(each) for name, each in scorer.domains.items()},
            "seen": "".join(f"{each:0{HEX_DIGITS}x}" for each in scorer.seen),
        }
    )


def scorer_from_text(text: str) -> Scorer:
    """Read a document.

    Raises:
        ValueError: it is no scorer, of another version, or broken: says which.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("it is no JSON") from None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise ValueError("it is no scorer")
    if found.get("version") != VERSION:
        raise ValueError(
            f"it is of version {str(found.get('version'))[:20]}, and this deskmesh reads {VERSION}"
        )
    same = (found.get("surface"), found.get("buckets"), found.get("domain_buckets"))
    if same != (list(SURFACE_NAMES), BUCKETS, DOMAIN_BUCKETS):
        raise ValueError("it was made for other features")
    try:
        return _scorer(found)
    except (KeyError, TypeError, AttributeError, IndexError, OverflowError) as wrong:
        raise ValueError(f"it is broken: {type(wrong).__name__} {str(wrong)[:80]}") from None


def _scorer(found: Mapping[str, Any]) -> Scorer:
    if len(found["heads"]) > HEADS_MAX:
        raise ValueError(f"it has more than {HEADS_MAX} heads")
    seen = found["seen"]
    if len(seen) % HEX_DIGITS or not set(seen) <= set(hexdigits):
        raise ValueError("it is broken: its list of prompts is cut off or no list")
    return Scorer(
        heads={str(name): _head(plain) for name, plain in found["heads"].items()},
        confidence={
            str(name): ConfidenceHead.from_plain(plain)
            for name, plain in found["confidence"].items()
        },
        domains={
            str(name): _domain(plain) for name, plain in dict(found.get("domains", {})).items()
        },
        sources=tuple(
            Source(str(each["name"]), str(each["licence"]), int(each["rows"]))
            for each in found["sources"]
        ),
        seen=array(
            "L", (int(seen[at : at + HEX_DIGITS], 16) for at in range(0, len(seen), HEX_DIGITS))
        ),
    )


def _head_to_plain(head: Head) -> dict[str, Any]:
    return {
        "labels": head.labels,
        "bias": round(head.bias, 5),
        "surface": [round(weight, 5) for weight in head.surface],
        "lowest": [round(value, 5) for value in head.lowest],
        "highest": [round(value, 5) for value in head.highest],
        "words": _to_text(head.words),
        "pairs": _to_text(head.pairs),
        "words_step": float(f"{head.words_step:.6g}"),
        "pairs_step": float(f"{head.pairs_step:.6g}"),
        "domain": {str(bucket): round(weight, 5) for bucket, weight in head.domain.items()},
    }


def _head(plain: Mapping[str, Any]) -> Head:
    head = Head(
        labels=int(plain["labels"]),
        bias=float(plain["bias"]),
        surface=tuple(map(float, plain["surface"])),
        lowest=tuple(map(float, plain["lowest"])),
        highest=tuple(map(float, plain["highest"])),
        words=_from_text(plain["words"]),
        pairs=_from_text(plain["pairs"]),
        words_step=float(plain["words_step"]),
        pairs_step=float(plain["pairs_step"]),
        domain={int(bucket): float(weight) for bucket, weight in plain["domain"].items()},
    )
    surfaces = (head.surface, head.lowest, head.highest)
    numbers = (head.bias, head.words_step, head.pairs_step, *chain(*surfaces, head.domain.values()))
    if not all(map(isfinite, numbers)):
        raise ValueError("it is broken: a weight is no number")
    if any(len(each) != len(SURFACE_NAMES) for each in surfaces):
        raise ValueError("it is broken: a head lacks weights")
    return head


def _domain_to_plain(domain: Domain) -> dict[str, Any]:
    words = bytes(_ALPHABET[level] for level in domain.words).decode()
    return {"rows": domain.rows, "floor_nats": round(domain.floor_nats, 4), "words": words}


def _domain(plain: Mapping[str, Any]) -> Domain:
    packed = str(plain["words"]).encode()
    if len(packed) != WORD_BUCKETS or packed.translate(None, _ALPHABET):
        raise ValueError("it is broken: a domain's words are cut off or no words")
    levels = array("b", packed.translate(_TO_LEVEL))
    return Domain(levels, float(plain["floor_nats"]), int(plain["rows"]))


def _to_text(levels: "array[int]") -> str:
    return bytes(_ALPHABET[level + LEVELS] for level in levels).decode()


def _from_text(text: str) -> "array[int]":
    packed = text.encode()
    if len(packed) != BUCKETS or packed.translate(None, _ALPHABET):
        raise ValueError("it is broken: a head's weights are cut off or no weights")
    return array("b", packed.translate(_TO_BYTE))
