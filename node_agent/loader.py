"""Brings models into memory, one at a time, and takes them out again.

One at a time, because each load decides by how much memory is free, and because two at once would
only share one disk. Owns every load, every engine that is warm, and the tasks that watch them.
Memory is promised when a load begins, in the very step in which the models that make room for it
are taken off: whoever asks next finds that decided.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

from mesh.errors import MeshError, NodeLost, Overloaded
from mesh.settings import NodeSettings
from node_agent.budget import Fits, Later, Verdict
from node_agent.engine.protocol import Engine, HoldsPrefixes
from node_agent.library.view import LibraryEntry
from node_agent.loads_known import LoadKnown, LoadsKnown
from node_agent.replica import RETRY_AFTER_S, STRIKES_MAX, Loaded, Replica
from node_agent.room import MachineRoom, Memory

# With so many slots of so many tokens; tells how far it has come, from 0 to 1.
LoadEngine = Callable[[LibraryEntry, int, int, Callable[[float], None]], Awaitable[Engine]]

# Other programs do not tell when they free memory.
LOOK_AGAIN_S = 1.0

log = logging.getLogger("node")


class Loader:
    """Changes the load of replicas, and calls ``changed`` after each change.

    Args:
        load_engine: makes the engine of a model, or raises LoadFailed.
        known: hears what loads took.
        replicas: returns those that may have to make room.
        settings: when an unused model leaves memory, how much all may take, how many slots one
            has at most.
        memory: looks at the machine's.
        prefixes_changed: is told when an engine's slots hold something else.
    """

    def __init__(  # noqa: PLR0913 - its neighbours, all by name
        self,
        load_engine: LoadEngine,
        settings: NodeSettings,
        *,
        replicas: Callable[[], Iterable[Replica]],
        known: LoadsKnown,
        changed: Callable[[Replica], None],
        memory: Memory,
        prefixes_changed: Callable[[Replica], None] = lambda _replica: None,
    ) -> None:
        self._load_engine = load_engine
        self._replicas = replicas
        self._known = known
        self._changed = changed
        self._prefixes_changed = prefixes_changed
        self._idle_unload_s = settings.idle_unload_s
        self._slots_max = settings.slots
        self._room = MachineRoom(memory, settings.memory_share_max, settings.slots)
        self._one_at_a_time = asyncio.Lock()
        self._moved = asyncio.Event()  # somebody ended, or left
        self._closing: set[asyncio.Task[None]] = set()
        self._warm: set[Engine] = set()
        self._owned: set[asyncio.Task[None]] = set()
        self._group: asyncio.TaskGroup | None = None
        self._ending = False  # nothing may be started any more

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Own loads and engines while the context is open; none is left after it."""
        try:
            async with asyncio.TaskGroup() as self._group:
                try:
                    yield
                finally:
                    self._ending = True
                    for task in self._owned:
                        task.cancel()
        finally:
            for replica in self._replicas():
                replica.set_timer(None)
            await asyncio.gather(*(engine.close() for engine in self._warm))

    def engines(self) -> list[Engine]:
        """Every engine that runs."""
        return list(self._warm)

    def verdict(self, replica: Replica) -> Verdict:
        """May a model that is not warm be loaded now? A warm one: what if it had left?"""
        return self._room.verdict(replica)

    def begin(self, replica: Replica, fits: Fits) -> Loaded:
        """Load a model that is not warm; whoever needs it waits for what is returned.

        ``fits`` is the verdict that allows it.
        """
        self._make_way(replica, fits)
        short = fits.slots < self._slots_max
        replica.slots = fits.slots if short else max(replica.slots, fits.slots)
        replica.context_tokens = fits.context_tokens
        replica.set_timer(None)
        self._room.promise(replica)
        loaded = replica.load = Loaded()
        self._start(self._load(replica, loaded), f"load {replica.name}")
        self._changed(replica)
        return loaded

    def rest(self, replica: Replica) -> None:
        """Nobody uses it: it leaves memory in a while, at once if its file is gone."""
        self._moved.set()
        if not replica.idle:
            return
        self._check(replica)
        loop = asyncio.get_running_loop()
        replica.used_s = loop.time()
        if replica.gone:
            self.close_if_idle(replica)
        elif self._idle_unload_s:
            replica.set_timer(loop.call_later(self._idle_unload_s, self.close_if_idle, replica))

    def close_if_idle(self, replica: Replica) -> None:
        """Take it out of memory, unless it is in use."""
        if replica.idle:
            self._close(replica, "unused")

    def renew(self, replica: Replica) -> None:
        """Take it out of memory, so that the next request loads it with a longer context."""
        if replica.idle:
            self._close(replica, "there is room for a longer context now")

    def died(self, replica: Replica, loaded: Loaded, reason: str) -> None:
        """Its engine can serve no more. Without effect where that is known, or was our doing."""
        if replica.load is not loaded:
            return
        replica.load = None
        replica.set_timer(None)
        self._room.take_back(replica)
        log.warning("the engine of %s is gone: %s", replica.name, reason)
        if not loaded.answered:
            replica.strikes += 1
            if replica.strikes >= STRIKES_MAX:
                replica.reason = f"its engine died {replica.strikes} times in a row: {reason}"
        self._changed(replica)

    async def _load(self, replica: Replica, loaded: Loaded) -> None:
        try:
            async with self._one_at_a_time:
                slots, tokens = await self._make_room(replica)
                progressed = partial(self._progressed, replica, loaded)
                self._room.load_begins()
                try:
                    engine = await self._load_engine(replica.entry, slots, tokens, progressed)
                finally:
                    self._room.load_ended()
        except MeshError as failure:
            self._load_failed(replica, loaded, failure)
            return
        self._warm.add(engine)
        replica.info, replica.slots = engine.info, engine.info.slots
        replica.load_s = engine.info.load_s
        if engine.info.context_tokens < tokens:  # its own limit, whatever memory there is
            replica.context_tokens_max = engine.info.context_tokens
        replica.context_tokens = engine.info.context_tokens
        replica.footprint = replica.footprint.with_layers(engine.info.gpu_layers)
        loaded.succeed(engine)
        if isinstance(engine, HoldsPrefixes):
            engine.watch_prefixes(partial(self._prefixes_changed, replica))
        self._check(replica)
        self._changed(replica)
        self.rest(replica)
        self._start(self._watch(replica, loaded, engine), f"watch {replica.name}")

    def _check(self, replica: Replica) -> None:
        if said := self._room.check(replica):
            log.warning("%s %s", replica.name, said)
        if replica.engine is None or replica.adopted:
            return
        info = replica.engine.info
        off = round(replica.footprint.off, 2)  # less is no news, and not worth a write
        known = LoadKnown(off=off, gpu_off=info.gpu_off, load_s=info.load_s)
        if self._known.learn(replica.model_id, known) and not self._ending:
            self._start(self._write(self._known.as_text()), "keep what loads took")

    async def _write(self, known: str) -> None:
        await asyncio.to_thread(self._known.write, known)

    def _progressed(self, replica: Replica, loaded: Loaded, share: float) -> None:
        loaded.progress = share
        self._changed(replica)

    def _load_failed(self, replica: Replica, loaded: Loaded, failure: MeshError) -> None:
        replica.load = None
        self._room.take_back(replica)
        self._moved.set()
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

    async def _make_room(self, replica: Replica) -> tuple[int, int]:
        """Wait until the model fits, for as long as anybody waits for it.

        Return its slots and the tokens of each: never more than were promised.

        It did fit when the load began. Only other programs can have changed that.

        Raises:
            Overloaded: it does not, or nobody waits any more.
        """
        while True:
            if self._closing:
                await asyncio.wait(self._closing)
            self._moved.clear()
            match self._room.verdict(replica, its_turn=True):
                case Fits((), slots, context_tokens):
                    replica.context_tokens = min(context_tokens, replica.context_tokens)
                    return min(slots, replica.slots), replica.context_tokens
                case Fits() as fits:
                    self._make_way(replica, fits)
                case Later() if replica.slots_taken:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(LOOK_AGAIN_S):
                            await self._moved.wait()
                case Later():
                    raise Overloaded(f"{replica.name} waits for memory", hint="ask again later")
                case never:
                    raise Overloaded(f"{replica.name} needs {never}", hint=never.hint)

    def _make_way(self, replica: Replica, fits: Fits) -> None:
        for ordinal in fits.leave:
            self._close(self._room.held(ordinal), f"{replica.name} needs its memory")

    def _close(self, replica: Replica, why: str) -> None:
        """Take an idle model off at once; its memory comes back in a moment."""
        engine = replica.engine
        assert engine is not None, "only what is idle is closed"
        assert not replica.slots_taken, "a busy model never leaves"
        self._room.leaving(replica, engine)
        replica.load = None
        replica.set_timer(None)
        log.info("unloading %s: %s", replica.name, why)
        task = self._start(self._close_engine(replica, engine), f"unload {replica.name}")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        self._changed(replica)

    async def _close_engine(self, replica: Replica, engine: Engine) -> None:
        try:
            await engine.close()
        finally:
            self._room.left(engine)
        self._moved.set()
        self._changed(replica)  # there is room for others now

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        assert self._group is not None, "the loader is not running"
        task = self._group.create_task(work, name=name)
        self._owned.add(task)
        task.add_done_callback(self._owned.discard)
        return task
