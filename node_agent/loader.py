"""Brings models into memory and takes them out again, one at a time.

One at a time, because each load decides by how much memory is free, and because two at once would
only share one disk. Owns every load, every engine that is warm, and the tasks that watch them.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from mesh.errors import MeshError, NodeLost, Overloaded
from mesh.settings import NodeSettings
from node_agent.engine.protocol import Engine, HoldsPrefixes
from node_agent.library.view import LibraryEntry
from node_agent.memory import free_memory_bytes, in_words
from node_agent.replica import RETRY_AFTER_S, STRIKES_MAX, Loaded, Replica

LoadEngine = Callable[[LibraryEntry, int], Awaitable[Engine]]  # with so many slots

log = logging.getLogger("node")


class Loader:
    """Changes the load of replicas, and calls ``changed`` after each change.

    Args:
        load_engine: makes the engine of a model, or raises LoadFailed.
        replicas: returns those that may have to make room.
        settings: when an unused model leaves memory, and how many slots one has at most.
        prefixes_changed: is told when an engine's slots hold something else.
        free_memory: returns the bytes that are free now.
    """

    def __init__(  # noqa: PLR0913 - its neighbours, all by name
        self,
        load_engine: LoadEngine,
        settings: NodeSettings,
        *,
        replicas: Callable[[], Iterable[Replica]],
        changed: Callable[[Replica], None],
        prefixes_changed: Callable[[Replica], None] = lambda _replica: None,
        free_memory: Callable[[], int] = free_memory_bytes,
    ) -> None:
        self._load_engine = load_engine
        self._replicas = replicas
        self._changed = changed
        self._prefixes_changed = prefixes_changed
        self._idle_unload_s = settings.idle_unload_s
        self._slots_max = settings.slots
        self._free_memory = free_memory
        self._one_at_a_time = asyncio.Lock()
        self._warm: set[Engine] = set()
        self._owned: set[asyncio.Task[None]] = set()
        self._group: asyncio.TaskGroup | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Own loads and engines while the context is open; none is left after it."""
        try:
            async with asyncio.TaskGroup() as self._group:
                try:
                    yield
                finally:
                    for task in self._owned:
                        task.cancel()
        finally:
            for replica in self._replicas():
                replica.set_timer(None)
            await asyncio.gather(*(engine.close() for engine in self._warm))

    def engines(self) -> list[Engine]:
        """Every engine that runs."""
        return list(self._warm)

    def could_fit(self, replica: Replica) -> bool:
        """Would it fit if everything idle were gone? A guess: the load looks again."""
        room = self._free_memory() + sum(
            each.footprint.taken_bytes(each.slots) for each in self._replicas() if each.idle
        )
        return replica.footprint.needed_bytes() <= room

    def begin(self, replica: Replica) -> Loaded:
        """Load a model that is not warm; whoever needs it waits for what is returned."""
        replica.set_timer(None)
        loaded = replica.load = Loaded()
        self._start(self._load(replica, loaded), f"load {replica.name}")
        self._changed(replica)
        return loaded

    def rest(self, replica: Replica) -> None:
        """Nobody uses it: it leaves memory in a while, at once if its file is gone."""
        if not replica.idle:
            return
        loop = asyncio.get_running_loop()
        replica.used_s = loop.time()
        if replica.gone:
            self.close_if_idle(replica)
        elif self._idle_unload_s:
            replica.set_timer(loop.call_later(self._idle_unload_s, self.close_if_idle, replica))

    def close_if_idle(self, replica: Replica) -> None:
        """Take it out of memory, unless it is used by the time it is its turn."""
        if replica.idle:
            self._start(self._close_in_turn(replica), f"unload {replica.name}")

    def died(self, replica: Replica, loaded: Loaded, reason: str) -> None:
        """Its engine can serve no more. Without effect where that is known, or was our doing."""
        if replica.load is not loaded:
            return
        replica.load = None
        replica.set_timer(None)
        log.warning("the engine of %s is gone: %s", replica.name, reason)
        if not loaded.answered:
            replica.strikes += 1
            if replica.strikes >= STRIKES_MAX:
                replica.reason = f"its engine died {replica.strikes} times in a row: {reason}"
        self._changed(replica)

    async def _load(self, replica: Replica, loaded: Loaded) -> None:
        try:
            async with self._one_at_a_time:
                free = await self._make_room(replica)
                slots = replica.footprint.slots_in(free, self._slots_max)
                engine = await self._load_engine(replica.entry, slots)
        except MeshError as failure:
            self._load_failed(replica, loaded, failure)
            return
        self._warm.add(engine)
        replica.info, replica.slots = engine.info, engine.info.slots
        loaded.succeed(engine)
        if isinstance(engine, HoldsPrefixes):
            engine.watch_prefixes(partial(self._prefixes_changed, replica))
        self._changed(replica)
        self.rest(replica)
        self._start(self._watch(replica, loaded, engine), f"watch {replica.name}")

    def _load_failed(self, replica: Replica, loaded: Loaded, failure: MeshError) -> None:
        replica.load = None
        log.warning("%s", failure)
        if isinstance(failure, Overloaded):  # no fault of the model's: the next request may try
            loaded.fail(failure)
        else:
            loaded.fail(NodeLost(failure.message, hint=failure.hint))
            self._strike(replica, str(failure))
        self._changed(replica)

    def _strike(self, replica: Replica, reason: str) -> None:
        replica.strikes += 1
        replica.reason = reason
        if replica.strikes < STRIKES_MAX:
            retry_s = RETRY_AFTER_S[replica.strikes - 1]
            loop = asyncio.get_running_loop()
            replica.set_timer(loop.call_later(retry_s, self._forgive, replica))

    def _forgive(self, replica: Replica) -> None:
        replica.reason = ""
        self._changed(replica)

    async def _watch(self, replica: Replica, loaded: Loaded, engine: Engine) -> None:
        self.died(replica, loaded, await engine.wait_dead())
        await engine.close()
        self._warm.discard(engine)

    async def _make_room(self, replica: Replica) -> int:
        """Unload what was idle for longest, until the model fits; return the bytes free then.

        Raises:
            Overloaded: it does not, with all gone that could go.
        """
        needed = replica.footprint.needed_bytes()
        while (free := self._free_memory()) < needed:
            idle = [each for each in self._replicas() if each.idle]
            if not idle:
                raise Overloaded(
                    f"{replica.name} needs {in_words(needed)} of memory, {in_words(free)} are free",
                    hint="close a program on that machine, or use a smaller model",
                )
            await self._close(min(idle, key=lambda each: each.used_s), "to make room")
        return free

    async def _close_in_turn(self, replica: Replica) -> None:
        async with self._one_at_a_time:
            if replica.idle:
                await self._close(replica, "unused")

    async def _close(self, replica: Replica, why: str) -> None:
        engine, replica.load = replica.engine, None
        assert engine is not None, "only what is idle is closed"
        replica.set_timer(None)
        log.info("unloading %s: %s", replica.name, why)
        self._changed(replica)
        await engine.close()

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        assert self._group is not None, "the loader is not running"
        task = self._group.create_task(work, name=name)
        self._owned.add(task)
        task.add_done_callback(self._owned.discard)
