"""The vectors of one request on their way from the engine process: checked, and put together."""

import asyncio

from mesh.core.embedding import Embeddings, Vector
from mesh.errors import MeshError
from node_agent.engine.frames import FrameError


class VectorAnswer:
    """``put`` and ``finish`` are called by the pipe's reader, ``whole`` by the one who asked."""

    def __init__(self, *, texts: int, context_tokens: int) -> None:
        self.ended = asyncio.Event()  # the engine has sent its last message about this request
        self._texts = texts
        self._prompt_tokens_max = texts * context_tokens
        self._vectors: list[Vector] = []
        self._failure: MeshError | None = None
        self._prompt_tokens = 0

    def put(self, vectors: tuple[Vector, ...]) -> None:
        """Take the next vectors.

        Raises:
            FrameError: they can't be, so the engine is not to be believed.
        """
        self._vectors += vectors
        if len(self._vectors) > self._texts:
            raise FrameError("there are more vectors than texts")
        if any(len(vector) != len(self._vectors[0]) for vector in vectors):
            raise FrameError("vectors are not all of one width")

    def finish(self, prompt_tokens: int) -> None:
        """Raises FrameError: as ``put``."""
        if len(self._vectors) != self._texts:
            raise FrameError("there are fewer vectors than texts")
        if not self._texts <= prompt_tokens <= self._prompt_tokens_max:
            raise FrameError("the texts can't have so many tokens")
        self._prompt_tokens = prompt_tokens
        self.ended.set()

    def end(self, failure: MeshError | None) -> None:
        """End without a result: by ``failure``, or because it was cancelled."""
        self._failure = failure
        self.ended.set()

    async def whole(self) -> Embeddings:
        """Return the result once it is whole.

        Raises:
            MeshError: there is none.
        """
        await self.ended.wait()
        if self._failure is not None:
            raise self._failure
        return Embeddings(tuple(self._vectors), self._prompt_tokens)
