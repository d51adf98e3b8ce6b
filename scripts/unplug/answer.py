"""An answer as the demonstration's client got it, and what the receipt tells of it."""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any


@dataclass(slots=True)
class Answer:
    """Grows as it comes; ``receipt`` is there once it has ended."""

    node: str = ""  # who began it
    pieces: list[tuple[float, str]] = field(default_factory=list)  # monotonic seconds, text
    tokens: int = 0
    receipt: dict[str, Any] | None = None

    def take(self, told: dict[str, Any]) -> None:
        """Add what the client told."""
        if "text" in told:
            self.pieces.append((told["at_s"], told["text"]))
        else:
            self.node = told.get("node", self.node)
            self.tokens = told.get("tokens", self.tokens)
            self.receipt = told.get("receipt")

    @property
    def text(self) -> str:
        return "".join(text for _, text in self.pieces)

    @property
    def attempts(self) -> list[dict[str, Any]]:
        attempts: list[dict[str, Any]] = (self.receipt or {}).get("attempts", [])
        return attempts

    @property
    def givers(self) -> list[dict[str, Any]]:
        """The attempts that gave tokens: others were outrun, or refused."""
        return [each for each in self.attempts if each["usage"]["completion_tokens"]]

    @property
    def took_s(self) -> float:
        return self.pieces[-1][0] - self.pieces[0][0]

    def pause_s(self, since_s: float) -> float:
        """Return the longest time without a new piece, of those that ended after ``since_s``."""
        times = [at_s for at_s, _ in self.pieces]
        return max((now - then for then, now in pairwise(times) if now > since_s), default=0.0)


def what_is_wrong(cut: Answer, whole: Answer) -> str:
    """Return why a cut answer is not as good as the one that nobody disturbed; "" if it is."""
    if len(cut.givers) < 2:
        return "the answer was over before its machine was killed"
    if cut.tokens != whole.tokens:
        return f"it has {cut.tokens} tokens, and undisturbed it has {whole.tokens}"
    if cut.text != whole.text:
        return "its text is another one than undisturbed"
    return ""
