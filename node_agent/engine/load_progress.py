"""How far a load has come, as llama.cpp tells while it reads the weights."""

import time
from collections.abc import Callable

from node_agent.engine.bindings import native

EVERY_S = 0.25  # often enough for people, and next to nothing for the network


class LoadProgress:
    """Tells ``tell`` a few times a second; it is called in llama.cpp's loading thread."""

    def __init__(self, tell: Callable[[float], None]) -> None:
        self._tell = tell
        self._told_s = time.monotonic()  # a load that ends sooner tells nothing
        self.callback = native.llama_progress_callback(self._hear)  # must outlive the load

    def _hear(self, progress: float, _: object) -> bool:
        now_s = time.monotonic()
        if now_s - self._told_s >= EVERY_S:
            self._told_s = now_s
            self._tell(min(1.0, max(0.0, progress)))
        return True  # go on
