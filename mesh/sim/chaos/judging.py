"""Ladders in a world of chaos: who assesses prompts, how sure models are, and who judges them.

An assessment and a model's confidence follow from the request's key alone, so that a retry on
another machine is as sure as the first one, and a seed stays one history.
"""

from collections.abc import Iterable
from zlib import crc32

from mesh.core.asked import Assessment
from mesh.core.calibration import INPUTS, LABELS_MIN, ConfidenceHead
from mesh.core.events import LadderConfigured
from mesh.core.policies import Policy
from mesh.core.signs import TokenSign
from mesh.core.types import ModelId, RequestKey

TASK_CLASS = "chaos"
THRESHOLD = 0.7
HOLD_TOKENS = 24
TRYING = Policy("trying", target=0.9, hold_tokens=HOLD_TOKENS)


def ladder(names: Iterable[str]) -> LadderConfigured:
    """Every model's answers can be judged, by the least chance of their tokens."""
    count = len(INPUTS)
    head = ConfidenceHead(
        means=(0.0,) * count,
        scales=(1.0,) * count,
        weights=tuple(float(name == "chance_quantile_0") for name in INPUTS),
        bias=0.0,
        labels=LABELS_MIN,
        thresholds={TRYING.risk: THRESHOLD},
    )
    return LadderConfigured(heads={(name, TASK_CLASS): head for name in names})


def assessed(key: RequestKey, names: Iterable[str]) -> Assessment:
    """Each model has a chance of its own at each prompt."""
    p_ok = {name: 0.3 + 0.69 * _share(f"{key.principal}/{key.request_id}?{name}") for name in names}
    return Assessment(task_class=TASK_CLASS, p_ok=p_ok, trusted=frozenset(p_ok))


def signs(key: RequestKey, model_id: ModelId, offset: int, count: int) -> tuple[TokenSign, ...]:
    """Half of the answers are sure, a quarter lose heart on their way, a quarter have none."""
    drawn = _share(f"{key.principal}/{key.request_id}!{model_id}")
    shaky_from = 0 if drawn < 0.25 else HOLD_TOKENS // 2 if drawn < 0.5 else 1 << 20
    return tuple(
        TokenSign((0.5, 0.5) if place >= shaky_from else (0.95, 0.05))
        for place in range(offset, offset + count)
    )


def _share(text: str) -> float:
    return crc32(text.encode()) / 2**32
