"""From signs of confidence to the chance that an answer is right, and to accept it or escalate.

A head is fitted for one (model, quantisation, task class), and nothing of it carries over to
another task class: a threshold for 10 % risk gave 14 to 39 % there (measured).
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import exp, isfinite, log
from typing import Any

from mesh.core.confidence import CONFIDENCE_NAMES

LABELS_MIN = 200  # fewer say too little for a threshold: escalate
ISOTONIC_FROM_LABELS = (
    2000  # below, a logistic calibrates better than isotonic regression (measured)
)
CHANCE_MIN = 1e-6
INPUTS = (*CONFIDENCE_NAMES, "prompt_logit")


@dataclass(frozen=True, slots=True)
class ConfidenceHead:
    """Answers P(ok | the answer's signs, the prompt's P(ok)), and what to accept at which risk."""

    means: tuple[float, ...]  # of INPUTS, one each
    scales: tuple[float, ...]
    weights: tuple[float, ...]
    bias: float
    labels: int
    steps: tuple[tuple[float, float], ...] = ()  # (raw chance, calibrated chance), both ascending
    thresholds: Mapping[float, float] = field(default_factory=dict)  # stated risk -> least P(ok)
    tokens: int = 0  # of an answer, from its start, that it was fitted to look at; 0: all

    def p_ok(self, features: Sequence[float], prompt_p_ok: float) -> float:
        """Return the chance in (0, 1) that the answer is right.

        Args:
            features: what ``confidence_features`` returned.
            prompt_p_ok: the scorer's P(ok) of this model for the prompt; 0.5 where it has none.
        """
        raw = self.bias
        inputs = (*features, logit(prompt_p_ok))
        for value, mean, scale, weight in zip(
            inputs, self.means, self.scales, self.weights, strict=True
        ):
            raw += (value - mean) / scale * weight
        return stepped(logistic(raw), self.steps)

    def accepts(self, p_ok: float, *, risk: float) -> bool:
        """Say whether an answer with this chance may stand, at a stated risk of being wrong.

        Only a risk that a threshold was fitted for, and enough labels, let anything stand.
        """
        threshold = self.thresholds.get(risk)
        return self.labels >= LABELS_MIN and threshold is not None and p_ok >= threshold

    def to_plain(self) -> dict[str, Any]:
        """Return what JSON can hold; ``from_plain`` reads it."""
        return {
            "inputs": list(INPUTS),
            "means": list(self.means),
            "scales": list(self.scales),
            "weights": list(self.weights),
            "bias": self.bias,
            "labels": self.labels,
            "steps": [list(step) for step in self.steps],
            "tokens": self.tokens,
            "thresholds": [[risk, least] for risk, least in sorted(self.thresholds.items())],
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "ConfidenceHead":
        """Read what ``to_plain`` wrote.

        Raises:
            ValueError: it is of another version, or broken.
        """
        try:
            if tuple(plain["inputs"]) != INPUTS:
                raise ValueError("the confidence head was fitted for other signs; fit it again")
            head = cls(
                means=tuple(map(float, plain["means"])),
                scales=tuple(map(float, plain["scales"])),
                weights=tuple(map(float, plain["weights"])),
                bias=float(plain["bias"]),
                labels=int(plain["labels"]),
                steps=tuple((float(raw), float(chance)) for raw, chance in plain["steps"]),
                tokens=int(plain.get("tokens", 0)),
                thresholds={float(risk): float(least) for risk, least in plain["thresholds"]},
            )
        except (KeyError, TypeError) as wrong:
            raise ValueError(f"the confidence head is broken: {wrong!r}") from None
        if {len(head.means), len(head.scales), len(head.weights)} != {len(INPUTS)}:
            raise ValueError("the confidence head is broken: it lacks numbers")
        stands = (part for each in (*head.steps, *head.thresholds.items()) for part in each)
        if not all(map(isfinite, (*head.means, *head.scales, *head.weights, head.bias, *stands))):
            raise ValueError("the confidence head is broken: a number of it is none")
        if not all(scale > 0 for scale in head.scales):
            raise ValueError("the confidence head is broken: a scale is not above 0")
        return head


def stepped(raw: float, steps: Sequence[tuple[float, float]]) -> float:
    """Return the calibrated chance for a raw one, between neighbouring steps by line."""
    if not steps:
        return raw
    above = bisect_right(steps, (raw, 2.0))
    if above == 0:
        return steps[0][1]
    if above == len(steps):
        return steps[-1][1]
    (low, from_chance), (high, to_chance) = steps[above - 1], steps[above]
    if high <= low:
        return to_chance
    return from_chance + (to_chance - from_chance) * (raw - low) / (high - low)


def logistic(value: float) -> float:
    """Return 1 / (1 + exp(-value)), kept within (0, 1)."""
    held = min(30.0, max(-30.0, value))
    return 1.0 / (1.0 + exp(-held))


def logit(chance: float) -> float:
    """Return the log-odds of a chance, of one at the edge as if it were a millionth off it."""
    held = min(1.0 - CHANCE_MIN, max(CHANCE_MIN, chance))
    return log(held / (1.0 - held))
