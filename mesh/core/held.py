"""An answer that is held back until it is known whether its model was sure enough of it.

What a client has seen is never taken back, so nothing of an answer is shown before it is judged: by
its first tokens, or by all of them where it is shorter. A hopeless one is noticed sooner. A tool
call is judged by its form, and not by how sure the model was of its words.
"""

from dataclasses import dataclass, field
from enum import Enum
from math import inf

from mesh.core.calibration import ConfidenceHead
from mesh.core.confidence import confidence_features
from mesh.core.events import AttemptProgressed
from mesh.core.signs import TokenSign

EARLY_TOKENS = (4, 8, 16)  # where a look is taken before the hold is over
HOPELESS = 0.5  # of the threshold: an answer of so little confidence early on does not recover
# A node may send texts without tokens, and calls of megabytes: then the hold is over as well. With
# what each piece takes beside its text, no more is held than a quarter of the bytes and half of the
# messages that a client may lag behind by, for all of it is sent to the client at once.
HELD_BYTES_MAX = 1 << 20
PIECE_BYTES = 512


class Judgement(Enum):
    """What is to be done with an answer that is held."""

    WAIT = "wait"
    ACCEPT = "accept"
    ESCALATE = "escalate"


@dataclass(slots=True)
class Held:
    """Mutable; only ``Fleet.handle`` changes it."""

    head: ConfidenceHead
    threshold: float  # of the confidence, to accept the answer
    prompt_p_ok: float
    hold_tokens: int
    signs: list[TokenSign] = field(default_factory=list)
    payloads: list[object] = field(default_factory=list)
    tokens: int = 0
    size_bytes: int = 0
    calls: int = 0
    broken_calls: int = 0
    confidence: float = 0.0  # as last judged
    _looked: int = 0

    def begin(self) -> None:
        """A machine begins the answer; again, if another one failed meanwhile."""
        self.signs, self.payloads = [], []
        self.tokens = self.size_bytes = self.calls = self.broken_calls = self._looked = 0

    def add(self, event: AttemptProgressed) -> Judgement:
        """Hold what came, and decide if enough of it is there."""
        self.payloads.append(event.payload)
        self.tokens += event.token_count
        self.size_bytes += PIECE_BYTES + event.size_bytes
        self.signs += event.signs
        self.calls += event.calls
        self.broken_calls += event.broken_calls
        if self.broken_calls:
            return Judgement.ESCALATE
        if self.tokens >= self.hold_tokens or self.size_bytes >= HELD_BYTES_MAX:
            return self.judge()
        if not self._due() or len(self.signs) < self.tokens:
            return Judgement.WAIT
        self._look()
        return Judgement.ESCALATE if self.confidence < HOPELESS * self.threshold else Judgement.WAIT

    def judge(self) -> Judgement:
        """Decide, now that the answer is whole or the hold is over."""
        if self.broken_calls:
            return Judgement.ESCALATE
        if self.calls:
            return Judgement.ACCEPT
        if len(self.signs) < self.tokens:
            return Judgement.ESCALATE  # its node does not tell how sure the model was
        self._look()
        return Judgement.ACCEPT if self.confidence >= self.threshold else Judgement.ESCALATE

    @property
    def score(self) -> float | None:
        """The chance, as last judged, that it is right; None: nothing was found out about that.

        A call that fits its tool may still be the wrong one.
        """
        if self.broken_calls:
            return 0.0
        return None if self.calls or len(self.signs) < self.tokens else self.confidence

    @property
    def why(self) -> str:
        """Why it was not accepted, for people."""
        if self.broken_calls:
            return "a tool call did not fit its tool"
        if len(self.signs) < self.tokens:
            return "its machine does not tell how sure the model was"
        return f"confidence {self.confidence:.2f}, at least {self.threshold:.2f} was wanted"

    def _due(self) -> bool:
        """Was another early mark passed since the last look?"""
        passed = sum(self.tokens >= mark for mark in EARLY_TOKENS)
        due, self._looked = passed > self._looked, passed
        return due

    def _look(self) -> None:
        seen = self.signs[: self.head.tokens or None]
        self.confidence = self.head.p_ok(confidence_features(seen), self.prompt_p_ok)


def threshold_of(head: ConfidenceHead, risk: float) -> float | None:
    """Return the confidence from which on at most a share ``risk`` of answers is wrong.

    None where no risk so small was fitted, or where labels were too few: then nothing is accepted.
    """
    fitted = [stated for stated in head.thresholds if stated <= risk]
    if not fitted or not head.accepts(inf, risk=max(fitted)):
        return None
    return head.thresholds[max(fitted)]
