"""What a client has of an answer, and what it takes for another machine to go on with it.

A machine goes on exactly where another stopped: it has the same weights, reads the prompt's ids and
those that were given, and draws the next token as the first machine would have. The text is that
of an undisturbed answer where both round alike (equal ``numerics``); otherwise it is a sound answer
of the same model, and the receipt says from which token on it may differ.
"""

from dataclasses import dataclass, replace

from mesh.core.directory import Directory
from mesh.core.types import Capability, ModelId, NodeId, Request

_OTHER_NUMERICS = "rounds otherwise than the machine that began the answer"


@dataclass(slots=True)
class Given:
    """Mutable; only ``Fleet.handle`` changes it."""

    tokens: int  # from the answer's start, those of an answer that the client resumes included
    seen: bool = False  # whether any of it was given since the request came
    model_id: ModelId | None = None  # whose answer it is; None: nobody began it
    numerics: str = ""  # of the machine that began it
    resumable: bool = False
    numerics_changed_at_token: int = 0

    def begin(self, model_id: ModelId, numerics: str, *, resumable: bool) -> None:
        """A machine begins the answer; again, if another one failed before the first token."""
        self.model_id, self.numerics, self.resumable = model_id, numerics, resumable

    def go_on(self, numerics: str) -> None:
        """A machine goes on with it."""
        if numerics != self.numerics and not self.numerics_changed_at_token:
            self.numerics_changed_at_token = self.tokens

    def add(self, tokens: int) -> None:
        self.tokens += tokens
        self.seen = True

    @property
    def movable(self) -> bool:
        """Can another machine take over? What gave text without ids can't be continued."""
        return not self.seen or (self.resumable and self.tokens > 0)

    def wanted(self, request: Request) -> Request:
        """Return what the next attempt asks of a machine."""
        if not self.seen or self.model_id is None:
            return request
        return replace(
            request,
            model=self.model_id,
            plan=None,
            needs=request.needs | {Capability.RESUME},
            resumed_tokens=self.tokens,
        )

    def others(self, directory: Directory) -> dict[NodeId, str]:
        """Return the machines of the answer's model whose numbers may differ, with the reason."""
        if not self.seen or self.model_id is None or directory.model(self.model_id) is None:
            return {}
        holders = directory.holders(self.model_id).every.walk()
        return {
            each.node.node_id: _OTHER_NUMERICS
            for each in holders
            if each.status.numerics != self.numerics
        }
