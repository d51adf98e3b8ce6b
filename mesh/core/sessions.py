"""On which model each session is, and how much of its prompt that model has read already.

What became of its last answer's tool calls comes with its next request, and is told once.

An agent's task is dozens of calls that share a growing prefix. Whoever changes the model pays for
that prefix again, so the ladder counts it. Bounded: the oldest session is forgotten first.
"""

from dataclasses import dataclass, field

from mesh.core.types import ModelId, Request

SESSIONS_MAX = 4096  # of those that spoke last; at 400 bytes each

_Key = tuple[str, str]  # principal, session: a session's name is its principal's own


@dataclass(frozen=True, slots=True)
class LastAnswer:
    """Who answered a session last."""

    model_id: ModelId
    prompt_tokens: int  # that it has read
    task_class: str = ""
    guess: float = 0.0  # P(ok) of it before anything was learned; 0: nobody made one


@dataclass(slots=True)
class Sessions:
    """Mutable; only ``Fleet.handle`` changes it."""

    _on: dict[_Key, LastAnswer] = field(default_factory=dict)
    _untold: set[_Key] = field(default_factory=set)  # of whose calls nothing was heard yet

    def answered(self, request: Request, answer: LastAnswer) -> None:
        """This model has read the session's prompt, and answered."""
        if not request.session:
            return
        key = request.key.principal, request.session
        self._on.pop(key, None)  # so that it is the newest
        if len(self._on) >= SESSIONS_MAX:
            first = next(iter(self._on))
            del self._on[first]
            self._untold.discard(first)
        self._on[key] = answer
        self._untold.add(key)

    def take_untold(self, request: Request) -> LastAnswer | None:
        """Return the session's last answer if it was not yet told what became of its calls."""
        key = request.key.principal, request.session
        if key not in self._untold:
            return None
        self._untold.discard(key)
        return self._on[key]

    def held_tokens(self, request: Request, model_id: ModelId) -> int:
        """Return how many tokens of the session's prompts a model has read; 0: it did not."""
        if not request.session:
            return 0
        on = self._on.get((request.key.principal, request.session))
        return on.prompt_tokens if on is not None and on.model_id == model_id else 0
