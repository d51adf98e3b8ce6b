"""Requests as they flow: the newest ones, and how many came lately. Never a word of a prompt."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from statistics import median

from mesh.core.actions import SendMoved, SendStarted
from mesh.core.receipt import Receipt
from mesh.core.types import Failure, FailureCode, Request, RequestKey, Tier
from mesh.wire.text import printable

KEPT_MAX = 256  # requests followed to their end: a mesh that answers 20 a second within 10 s each
RATE_S = 60  # how long the rate looks back, and how many points its curve has
FIRST_TOKENS_KEPT = 200  # a median of fewer jumps about; of more it tells of long ago
NAME_SHOWN_MAX = 64  # of a model that a client asks for, whatever it may have written there
WHY_SHOWN_MAX = 160
BEFORE_SHOWN_MAX = 3  # of an answer that moved: more is a sick mesh, which others show
_LEFT_THE_MESH = "cloud: "


@dataclass(slots=True, eq=False)
class Passing:
    """One request on its way. Mutable until it has ended."""

    key: RequestKey
    number: int
    asked: str
    arrived_at_s: float  # Unix time
    state: str = "waiting"  # "running", "answered", "failed"
    model: str = ""
    machine: str = ""
    before: tuple[str, ...] = ()  # machines that gave the answer's beginning, and failed
    tier: Tier | None = None  # how far the prompt travelled
    why: str = ""
    tokens: int = 0
    first_token_s: float = 0.0
    total_s: float = 0.0
    cost_microusd: int = 0


@dataclass(slots=True)
class Flow:
    """Follows the newest requests. A ``Watcher``. ``clock`` tells Unix seconds."""

    clock: Callable[[], float]
    _kept: deque[Passing] = field(default_factory=lambda: deque(maxlen=KEPT_MAX))
    _open: dict[RequestKey, Passing] = field(default_factory=dict)  # those of the kept that go on
    _first_tokens_s: deque[float] = field(default_factory=lambda: deque(maxlen=FIRST_TOKENS_KEPT))
    _arrivals: deque[list[int]] = field(default_factory=lambda: deque(maxlen=RATE_S + 1))
    _arrived: int = 0
    changes: int = 0  # grows with each event, so that whoever shows them knows when to look

    def request_arrived(self, request: Request) -> None:
        now_s = self.clock()
        self.changes += 1
        self._arrived += 1
        if len(self._kept) == KEPT_MAX and self._open.get(self._kept[0].key) is self._kept[0]:
            del self._open[self._kept[0].key]
        asked = printable(request.model, NAME_SHOWN_MAX) or "auto"
        passing = Passing(request.key, self._arrived, asked, now_s)
        self._kept.append(passing)
        self._open[request.key] = passing
        self._count(int(now_s))

    def request_started(self, started: SendStarted) -> None:
        self.changes += 1
        if (passing := self._open.get(started.key)) is not None:
            chosen = started.candidate
            passing.state, passing.tier = "running", started.tier
            passing.model, passing.machine = chosen.model_name, chosen.node_name
            passing.why = told(started.why)

    def request_moved(self, moved: SendMoved) -> None:
        self.changes += 1
        if (passing := self._open.get(moved.key)) is not None:
            passing.before = (*passing.before, passing.machine)[-BEFORE_SHOWN_MAX:]
            passing.machine = moved.candidate.node_name
            passing.why = told(moved.why)

    def request_ended(self, request: Request, receipt: Receipt, failure: Failure | None) -> None:
        self.changes += 1
        if receipt.first_token_s > 0:
            self._first_tokens_s.append(receipt.first_token_s)
        if (passing := self._open.pop(request.key, None)) is None:
            return
        passing.state = "answered" if failure is None else "failed"
        passing.first_token_s, passing.total_s = receipt.first_token_s, receipt.total_s
        passing.cost_microusd = receipt.cost_microusd
        passing.tokens = sum(each.usage.completion_tokens for each in receipt.attempts)
        if receipt.attempts:
            last = receipt.attempts[-1]
            passing.model, passing.machine = last.model_name, last.node_name
            passing.tier = receipt.tier
        # The code alone: a node's words may hold what its model's template said of a prompt.
        passing.why = told(receipt.why) if failure is None else said_of(failure.code)

    def newest(self, count: int) -> list[Passing]:
        return list(islice(reversed(self._kept), count))

    def arrivals(self) -> list[int]:
        """Return how many requests came in each of the last whole seconds, the oldest first."""
        this_s = int(self.clock())
        counted = {each[0]: each[1] for each in self._arrivals}  # a second, and how many
        return [counted.get(second, 0) for second in range(this_s - RATE_S, this_s)]

    @property
    def first_token_s(self) -> float | None:
        """The median of late; None before the first answer."""
        return median(self._first_tokens_s) if self._first_tokens_s else None

    def _count(self, second: int) -> None:
        if self._arrivals and self._arrivals[-1][0] == second:
            self._arrivals[-1][1] += 1
        else:
            self._arrivals.append([second, 1])


def told(why: str) -> str:
    """Return why a request went where it did, fit to be seen by everybody on the mesh.

    Why it left the mesh is what machines said of it, and that may hold something of the prompt.
    """
    if why.startswith(_LEFT_THE_MESH):
        return "no machine of the mesh could answer it"
    return printable(why, WHY_SHOWN_MAX)


_SAID = {
    FailureCode.CANCELLED: "its client left",
    FailureCode.NO_CAPABLE_NODE: "no machine could serve it",
    FailureCode.MODEL_NOT_FOUND: "no machine has that model",
    FailureCode.DEADLINE_EXCEEDED: "its time ran out",
    FailureCode.ANSWER_LOST: "its machine failed mid-answer",
    FailureCode.NODE_LOST: "its machine was lost",
    FailureCode.OVERLOADED: "too much waits already",
    FailureCode.CONTEXT_OVERFLOW: "the prompt is too long",
    FailureCode.FORBIDDEN: "it may not go there",
    FailureCode.CONTENT_REFUSED: "an upstream's policy is against it",
}


def said_of(code: FailureCode) -> str:
    """Return a failure's code in words."""
    return _SAID.get(code, code.replace("_", " "))
