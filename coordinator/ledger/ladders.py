"""What the ladder knew of a request's rungs, as the text of one column; no word of a prompt.

With it recorded traffic can be decided anew under another policy (``mesh.core.replay``).
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import fields

from mesh.core.receipt import Basis, RungAccount
from mesh.core.types import ModelId

RUNGS_KEPT_MAX = 16  # at 250 bytes each; a ladder is rarely longer, and the first ones matter
REASON_MAX = 120
DIGITS = 4

_encode = json.JSONEncoder(separators=(",", ":")).encode
_BASIS = {field.name: field.default for field in fields(Basis)}


def write_ladder(rungs: Iterable[RungAccount]) -> str:
    """Write the rungs in their order; "" for none. What has its usual value is left out.

    A newcomer on trial, which is often the last, is kept as well.
    """
    every = list(rungs)
    kept = every[:RUNGS_KEPT_MAX]
    kept += [each for each in every[RUNGS_KEPT_MAX:] if each.basis.on_trial]
    written = [_write(each) for each in kept]
    return _encode(written) if written else ""


def read_ladder(text: str) -> tuple[RungAccount, ...]:
    """Read what ``write_ladder`` wrote, by this or another version; () for what is none."""
    try:
        return tuple(_read(each) for each in json.loads(text)) if text else ()
    except (ValueError, TypeError, KeyError, AttributeError):
        return ()


def _write(rung: RungAccount) -> dict[str, object]:
    known: dict[str, object] = {
        "p_ok": round(rung.p_ok, DIGITS),
        "confidence": round(rung.confidence, DIGITS),
        "threshold": round(rung.threshold, DIGITS),
        "removed_by": rung.removed_by[:REASON_MAX],
        "chosen": int(rung.chosen),
    }
    for name, usual in _BASIS.items():
        value = getattr(rung.basis, name)
        if value != usual:
            known[name] = round(value, DIGITS) if isinstance(value, float) else int(value)
    told = {name: value for name, value in known.items() if value}
    return {"id": rung.model_id, "name": rung.model_name, **told}


def _read(plain: dict[str, object]) -> RungAccount:
    return RungAccount(
        model_id=ModelId(str(plain["id"])),
        model_name=str(plain["name"]),
        p_ok=_number(plain.get("p_ok", 0.0)),
        confidence=_number(plain.get("confidence", 0.0)),
        threshold=_number(plain.get("threshold", 0.0)),
        removed_by=str(plain.get("removed_by", "")),
        chosen=bool(plain.get("chosen", 0)),
        basis=Basis(
            **{
                name: type(usual)(plain[name])  # type: ignore[misc]
                for name, usual in _BASIS.items()
                if name in plain
            }
        ),
    )


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def chosen_of(rungs: Sequence[RungAccount]) -> RungAccount | None:
    """Return the rung whose answer it was."""
    return next((each for each in rungs if each.chosen), None)
