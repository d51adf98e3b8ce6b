"""On which model each session is, and how much of its prompt that model has read already.

An agent's task is dozens of calls that share a growing prefix. Whoever changes the model pays for
that prefix again, so the ladder counts it. Bounded: the oldest session is forgotten first.
"""

from dataclasses import dataclass, field

from mesh.core.types import ModelId, Request

SESSIONS_MAX = 4096  # of those that spoke last; at 200 bytes each

_Key = tuple[str, str]  # principal, session: a session's name is its principal's own


@dataclass(slots=True)
class Sessions:
    """Mutable; only ``Fleet.handle`` changes it."""

    _on: dict[_Key, tuple[ModelId, int]] = field(default_factory=dict)

    def answered(self, request: Request, model_id: ModelId, prompt_tokens: int) -> None:
        """This model has read the session's prompt, and answered."""
        if not request.session:
            return
        key = request.key.principal, request.session
        self._on.pop(key, None)  # so that it is the newest
        if len(self._on) >= SESSIONS_MAX:
            del self._on[next(iter(self._on))]
        self._on[key] = model_id, prompt_tokens

    def held_tokens(self, request: Request, model_id: ModelId) -> int:
        """Return how many tokens of the session's prompts a model has read; 0: it did not."""
        if not request.session:
            return 0
        on = self._on.get((request.key.principal, request.session))
        return on[1] if on is not None and on[0] == model_id else 0
