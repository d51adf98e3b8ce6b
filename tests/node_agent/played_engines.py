"""Engines for tests of what lies around an engine, and models for them to hold."""

import asyncio
from array import array
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import replace
from pathlib import Path

from mesh.core.embedding import Embeddings
from mesh.core.footprint import Shape
from mesh.core.generation import Generation, GenerationEvent
from mesh.core.types import Model, ModelIdentity, PrefixHeld
from mesh.errors import MeshError, NodeLost
from node_agent.engine.capabilities import EMBEDDER_CAPABILITIES
from node_agent.engine.echo import EchoEngine
from node_agent.engine.protocol import Engine
from node_agent.library.found import FoundFile, Stamp
from node_agent.library.view import LibraryEntry, LibraryView


def entry(
    name: str = "echo",
    *,
    size_bytes: int = 1000,
    mtime_ns: int = 1,
    cache_bytes_per_token: int = 0,
    context_tokens: int = 2048,
    embeds: bool = False,
) -> LibraryEntry:
    """Return a model that exists in name only."""
    digest = name.encode().hex().ljust(64, "0")[:64]
    model = Model(
        ModelIdentity(digest, "b" * 64, "Q8_0"),
        (name,),
        "llama",
        1_000_000,
        size_bytes,
        context_tokens,
    )
    path = Path("models") / f"{name}.gguf"
    file = FoundFile(Stamp(path, size_bytes, mtime_ns), (1, 1))
    shape = Shape(size_bytes, cache_bytes_per_token=cache_bytes_per_token)
    return LibraryEntry(model, (file,), shape, embeds)


def library(*entries: LibraryEntry) -> LibraryView:
    return LibraryView(entries=entries)


class Engines:
    """Loads engines as the test says, and counts them. ``new`` makes each one."""

    def __init__(self, new: Callable[[], Engine] = EchoEngine) -> None:
        self.new = new
        self.fails: list[MeshError] = []  # one for each of the next loads
        self.gate = asyncio.Event()  # loads wait for it
        self.gate.set()
        self.began = asyncio.Event()  # some load did
        self.loading = 0
        self.loads = 0
        self.made: list[Engine] = []
        self.slots: list[int] = []  # that each load was allowed
        self.contexts: list[int] = []  # of each of them, in tokens
        self.told: Callable[[float], None]  # how far the last load has come

    async def load(
        self, _entry: LibraryEntry, slots: int, context_tokens: int, told: Callable[[float], None]
    ) -> Engine:
        self.loads += 1
        self.told = told
        self.slots.append(slots)
        self.contexts.append(context_tokens)
        self.loading += 1
        self.began.set()
        try:
            await self.gate.wait()
        finally:
            self.loading -= 1
        if self.fails:
            raise self.fails.pop(0)
        engine = self.new()
        self.made.append(engine)
        return engine


class HoldingEngine(EchoEngine):
    """Holds what the test says."""

    def __init__(self) -> None:
        super().__init__()
        self.prefixes: tuple[PrefixHeld, ...] = ()
        self.asked: list[Generation] = []
        self._changed: Callable[[], None] = lambda: None

    def watch_prefixes(self, changed: Callable[[], None]) -> None:
        self._changed = changed

    async def generate(self, work: Generation) -> AsyncGenerator[GenerationEvent, None]:
        self.asked.append(work)
        async for event in super().generate(work):
            yield event

    def hold(self, *prefixes: PrefixHeld) -> None:
        self.prefixes = prefixes
        self._changed()


class CountingEmbedder(EchoEngine):
    """Embeds a text as the number of its letters and of its words, whatever direction that is."""

    def __init__(self) -> None:
        super().__init__()
        self._info = replace(self._info, capabilities=EMBEDDER_CAPABILITIES)
        self.gate = asyncio.Event()  # texts wait for it
        self.gate.set()
        self.began = asyncio.Event()
        self.left = asyncio.Event()  # nobody waits for it any more

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        self.began.set()
        try:
            await self.gate.wait()
        finally:
            self.left.set()
        words = [len(text.split()) for text in texts]
        vectors = [array("f", (len(text), of)) for text, of in zip(texts, words, strict=True)]
        return Embeddings(tuple(vectors), sum(words))


class MortalEngine(EchoEngine):
    """Dies when told to, also in the middle of an answer."""

    def __init__(self) -> None:
        super().__init__(tokens_per_s=200.0)
        self._dead = asyncio.Event()

    def die(self) -> None:
        self._dead.set()

    async def generate(self, work: Generation) -> AsyncGenerator[GenerationEvent, None]:
        async for event in super().generate(work):
            if self._dead.is_set():
                raise NodeLost("the engine is gone: the test killed it")
            yield event

    async def wait_dead(self) -> str:
        closed = asyncio.ensure_future(super().wait_dead())
        dead = asyncio.ensure_future(self._dead.wait())
        try:
            await asyncio.wait((closed, dead), return_when=asyncio.FIRST_COMPLETED)
        finally:
            closed.cancel()
            dead.cancel()
        return "the test killed it"
