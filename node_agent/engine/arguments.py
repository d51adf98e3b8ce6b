"""What an engine process is started with, as ``worker`` reads it."""

import os
from dataclasses import dataclass
from pathlib import Path

from node_agent.engine.warm_folder import WarmPlace

NICENESS = 5  # a busy program beside us keeps three quarters of a core that we both want


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """See ``EngineProcess.start``."""

    model: Path
    context_tokens: int
    slots: int
    threads: int
    niceness: int
    gpu_off: float | None
    keep: WarmPlace | None
    embeds: bool

    def words(self) -> list[str]:
        """Return the words of the command line."""
        options = {
            "--model": os.fspath(self.model),
            "--context-tokens": str(self.context_tokens),
            "--slots": str(self.slots),
            "--threads": str(self.threads),
            "--niceness": str(self.niceness),
        }
        if self.gpu_off is not None:
            options["--gpu-off"] = str(self.gpu_off)
        if self.keep is not None:
            options |= self.keep.options()
        flat = [word for pair in options.items() for word in pair]
        flags = {"--embeds": self.embeds, "--no-gpu": self.gpu_off is None}
        return [*flat, *(flag for flag, given in flags.items() if given)]
