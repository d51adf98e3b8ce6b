"""The load of one model as the agent follows it: how far it has come, and what came of it."""

import asyncio
import re
from collections.abc import Callable
from typing import Any

from node_agent.engine.child import Child
from node_agent.engine.frames import FrameError
from node_agent.engine.messages import Loaded, Loading, LoadRefused
from node_agent.engine.protocol import LoadDied, LoadFailed

SLOTS_MAX = 256  # far above what a desk-side machine decodes at once

_PROGRESS_STEP = 0.01
_FOLDERS = re.compile(r"^\S*/")  # of the machine that compiled it, before the name of a file
_BAD_FILE = "try another model file; this one may be bad"


class Load:
    """``told`` hears how far it has come, from 0 to 1, in steps of a percent or more."""

    def __init__(self, name: str, told: Callable[[float], None]) -> None:
        loop = asyncio.get_running_loop()
        self._name = name
        self._told = told
        self._progress = 0.0
        self._progress_s = loop.time()  # when it last grew
        self._ended: asyncio.Future[Loaded | LoadRefused] = loop.create_future()

    def hear(self, message: Loading | Loaded | LoadRefused) -> None:
        """Raises FrameError: no honest engine would send it now."""
        if self._ended.done():
            raise FrameError("it loads what is loaded")
        if not isinstance(message, Loading):
            self._ended.set_result(message)
        elif message.progress >= self._progress + _PROGRESS_STEP:  # so many are bounded
            self._progress = message.progress
            self._progress_s = asyncio.get_running_loop().time()
            self._told(message.progress)

    async def until_loaded(self, child: Child, *, context_tokens: int, patience_s: float) -> Loaded:
        """Return what was loaded.

        Args:
            context_tokens: as they were asked for; no slot has more.
            patience_s: how long it may stand still.

        Raises:
            LoadFailed: it was refused, stands still, or its process died; says why.
        """
        loop = asyncio.get_running_loop()
        either: tuple[asyncio.Future[Any], ...] = (self._ended, child.dead)
        while (wait_s := self._progress_s + patience_s - loop.time()) > 0:
            if (await asyncio.wait(either, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED))[0]:
                break
        if self._ended.done():
            return self._accepted(self._ended.result(), context_tokens)
        if child.dead.done():
            reason, words = child.dead.result(), _FOLDERS.sub("", child.last_line)
            if words and words not in reason:  # an assertion is told already
                reason = f"{reason}: {words}"
            failed = self._failed(reason, _BAD_FILE)
            raise LoadDied(failed.message, hint=failed.hint)
        stuck = f" beyond {self._progress:.0%}" if self._progress else ""
        reason = f"it did not load within {patience_s:g} s{stuck}"
        raise self._failed(reason, "try a smaller model")

    def _accepted(self, answer: Loaded | LoadRefused, context_tokens: int) -> Loaded:
        if isinstance(answer, LoadRefused):
            raise self._failed(answer.reason, answer.hint)
        if not 1 <= answer.context_tokens <= context_tokens or not 1 <= answer.slots <= SLOTS_MAX:
            raise self._failed("the engine broke the protocol: it claims an absurd size", _BAD_FILE)
        return answer

    def _failed(self, reason: str, hint: str) -> LoadFailed:
        return LoadFailed(f"{self._name} can't be loaded: {reason}", hint=hint)
