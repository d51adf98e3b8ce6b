"""A model with one slot, used by hand: what the step loop does for many, for one."""

from collections.abc import Sequence
from pathlib import Path

from node_agent.engine.abort import Aborted, AbortFlag
from node_agent.engine.chunks import CHUNK_TOKENS_MAX
from node_agent.engine.llama import Llama
from node_agent.engine.prefixes import shared_tokens
from node_agent.engine.scheduler import Row


class Alone(Llama):
    """``held`` is what its memory holds."""

    def __init__(
        self,
        path: Path,
        *,
        context_tokens: int = 1024,
        threads: int = 1,
        abort: AbortFlag | None = None,
    ) -> None:
        super().__init__(
            path,
            context_tokens=context_tokens,
            slots=1,
            threads=threads,
            abort=abort or AbortFlag(),
        )
        self.held: list[int] = []

    def reuse(self, prompt: Sequence[int]) -> int:
        """Keep what is held of ``prompt``, forget the rest, and return the tokens kept."""
        kept = self.truncate(0, shared_tokens(self.held, prompt))
        del self.held[kept:]
        return kept

    def feed(self, ids: Sequence[int]) -> int:
        """Append ``ids``, in chunks, and return the row of the last logits."""
        at = 0
        while at < len(ids):
            chunk = ids[at : at + CHUNK_TOKENS_MAX]
            rows = [Row(0, token, len(self.held) + row) for row, token in enumerate(chunk)]
            try:
                self.decode(rows, logits=False, last=at + len(chunk) == len(ids))
            except Aborted:
                self.truncate(0, len(self.held))
                raise
            self.held.extend(chunk)
            at += len(chunk)
        return len(chunk) - 1
