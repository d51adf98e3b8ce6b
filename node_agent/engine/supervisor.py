"""The ``Engine`` in a process of its own, because a bad model or a failed assertion kills the
process that holds it. Nothing that such a process does, or stops doing, reaches further than this
module.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any, Self

from mesh.core.chat import Message, Tool
from mesh.core.embedding import Embeddings
from mesh.core.generation import Generation, GenerationEvent, Sampling
from mesh.core.types import Capability, PrefixHeld
from mesh.errors import ContextOverflow, MeshError, NodeLost, Overloaded, Unsupported
from node_agent.engine.answer_stream import AnswerStream
from node_agent.engine.arguments import NICENESS, Start
from node_agent.engine.checks import refuse_invalid, refuse_invalid_texts
from node_agent.engine.child import WORKER, Child
from node_agent.engine.counting import Counting
from node_agent.engine.frames import FrameError, FrameTooLarge
from node_agent.engine.loading import Load
from node_agent.engine.messages import (
    Cancel,
    Cancelled,
    Complaint,
    CountTokens,
    Embed,
    Embedded,
    EmbeddingEnded,
    Failed,
    FromEngine,
    Generate,
    Loaded,
    Loading,
    LoadRefused,
    Prefixes,
    Produced,
    Save,
    Saved,
    ToEngine,
    TokensCounted,
)
from node_agent.engine.prerequisites import check_installed, physical_cores
from node_agent.engine.protocol import EngineInfo, LoadFailed
from node_agent.engine.vector_answer import VectorAnswer
from node_agent.engine.warm_folder import WarmPlace

log = logging.getLogger(__name__)

_COMPLAINTS_MAX = 64  # as many as one has slots; an engine that is taken over may have more
_UNASKED = "it answered what was not asked"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long an engine process may be silent before it counts as hanging, in seconds."""

    loaded_s: float = 120.0  # for a hundredth of a large model on a slow disk, or for its context
    started_s: float = 30.0  # template and tokeniser; 5 MB of text on a busy machine take seconds
    cancelled_s: float = 5.0  # one decode step, or one node of its graph
    saved_s: float = 30.0  # 2 GiB to a disk that writes 100 MB a second


class EngineProcess:
    """One warm model in a child process. Made by ``start``, ended by ``close``."""

    def __init__(self, name: str, patience: Patience, told: Callable[[float], None]) -> None:
        self._name = name
        self._patience = patience
        self._load = Load(name, told)
        self._child: Child
        self._info: EngineInfo
        self._closing = False
        self._saves = False  # whether its slots are worth saving at the end
        self._save_sent = False
        self._saved = asyncio.Event()
        self._complaints = 0
        self._prefixes: tuple[PrefixHeld, ...] = ()
        self._prefixes_changed: Callable[[], None] = lambda: None
        self._numbers = count(1)
        self._answers: dict[int, AnswerStream | VectorAnswer] = {}  # those that take a slot
        self._counting = Counting()  # takes none
        self._watchdogs: dict[int, asyncio.TimerHandle] = {}  # of those being cancelled

    @classmethod
    async def start(  # noqa: PLR0913 - what an engine is, all by name
        cls,
        model: Path,
        *,
        context_tokens: int,
        slots: int = 1,
        threads: int = 0,
        niceness: int = NICENESS,
        told: Callable[[float], None] = lambda _: None,
        keep: WarmPlace | None = None,
        embeds: bool = False,
        gpu_off: float | None = 1.0,
        patience: Patience = Patience(),
        worker: Sequence[str] = WORKER,
    ) -> Self:
        """Start a process, load ``model`` in it, and return once it is warm.

        Args:
            model: path of a GGUF file.
            context_tokens: wanted for each slot; fewer where the model was trained for fewer.
            slots: how many answers it works on at a time.
            threads: at most; 0 takes one for each physical core. Fewer beside other work.
            niceness: how far it steps back behind other work, as nice(1) has it.
            told: hears how far the load has come, from 0 to 1, in steps of a percent or more.
            keep: where what its slots hold outlives it; None: nowhere.
            embeds: whether the model turns text into vectors, and writes none.
            gpu_off: what the model took of a GPU at its last load, of what was foretold;
                None: nothing goes there.
            patience: when the process is taken to hang, and is killed.
            worker: the program that serves; another one only in tests.

        Raises:
            LoadFailed: the file is no model that we can run, or there is no memory for it. No
                process is left.
        """
        check_installed()
        engine = cls(model.name, patience, told)
        began_s = time.monotonic()
        start = Start(
            model=model,
            context_tokens=context_tokens,
            slots=slots,
            threads=threads or physical_cores(),
            niceness=niceness,
            gpu_off=gpu_off,
            keep=keep,
            embeds=embeds,
        )
        try:
            engine._child = await Child.spawn(worker, start.words(), engine._hear)
        except OSError as failure:
            raise LoadFailed(f"no engine process could be started: {failure}") from failure
        engine._child.dead.add_done_callback(engine._child_died)
        try:
            loaded = await engine._load.until_loaded(
                engine._child, context_tokens=context_tokens, patience_s=patience.loaded_s
            )
        except BaseException:
            engine._closing = True
            engine._child.kill("the load was given up")  # it has nothing to tidy up
            await engine._child.close("the load was given up")
            raise
        load_s = time.monotonic() - began_s
        engine._saves = keep is not None and not embeds  # whose slots hold nothing
        engine._info = loaded.info(load_s)
        log.info("engine of %s: warm after %.1f s, pid %d", model.name, load_s, engine.pid)
        return engine

    @property
    def info(self) -> EngineInfo:
        return self._info

    @property
    def pid(self) -> int:
        """The engine's process id, 0 once it is gone."""
        return self._child.pid

    @property
    def prefixes(self) -> tuple[PrefixHeld, ...]:
        """See ``HoldsPrefixes``."""
        return self._prefixes

    def watch_prefixes(self, changed: Callable[[], None]) -> None:
        """See ``HoldsPrefixes``."""
        self._prefixes_changed = changed

    async def generate(self, work: Generation) -> AsyncGenerator[GenerationEvent, None]:
        """Answer ``work``; see ``Engine``. The slot is free by the time ``Finished`` is yielded."""
        refuse_invalid(work)
        if Capability.EMBED in self._info.capabilities:
            raise Unsupported(
                f"{self._name} embeds text, and writes none", hint="ask another model"
            )
        self._check_resume(work)
        self._check_free()
        number = next(self._numbers)
        # Who asks for "all there is" may send any number: it ends at the context anyway.
        work = replace(work, max_tokens=min(work.max_tokens, self._info.context_tokens))
        self._send(Generate(number, work))
        answer = self._answers[number] = AnswerStream(
            work, context_tokens=self._info.context_tokens
        )
        try:
            event = await self._first(answer)
            while event is not None:
                yield event
                event = await answer.next()
        finally:
            if number in self._answers:
                await self._cancel(number, answer)

    async def count_tokens(self, messages: Sequence[Message], tools: Sequence[Tool]) -> int:
        """See ``Engine``."""
        work = Generation(tuple(messages), Sampling(), max_tokens=1, tools=tuple(tools))
        refuse_invalid(work)
        await self._counting.turn(self._name)
        number = next(self._numbers)
        try:
            self._check_alive()
            self._send(CountTokens(number, work))
        except MeshError:
            self._counting.give_back()
            raise
        counted = self._counting.begin(number)
        try:
            async with asyncio.timeout(self._patience.started_s):
                return await asyncio.shield(counted)  # its answer comes, whoever still waits
        except TimeoutError:
            raise await self._hung("no prompt was counted") from None

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """See ``Engine``. How long a text may take, only the caller knows."""
        refuse_invalid_texts(texts)
        if Capability.EMBED not in self._info.capabilities:
            raise Unsupported(
                f"{self._name} writes text, and embeds none", hint="ask an embedding model"
            )
        self._check_free()
        number = next(self._numbers)
        self._send(Embed(number, tuple(texts)))
        answer = self._answers[number] = VectorAnswer(
            texts=len(texts), context_tokens=self._info.context_tokens
        )
        try:
            return await answer.whole()
        finally:
            if number in self._answers:
                await self._cancel(number, answer)

    async def wait_dead(self) -> str:
        """Return once the engine can serve no more, with the reason in words for people."""
        return await asyncio.shield(self._child.dead)

    async def close(self) -> None:
        """End the process; answers in progress end with NodeLost. May be called twice."""
        self._closing = True
        try:
            if self._saves:
                await self._save()
        finally:
            await self._child.close("it was unloaded")

    async def _save(self) -> None:
        """Let the engine save its slots, once; return when it has, is gone or takes too long."""
        if not self._save_sent:
            self._save_sent = True
            self._child.send(Save())
        saved = asyncio.ensure_future(self._saved.wait())
        either: tuple[asyncio.Future[Any], ...] = (saved, self._child.dead)
        try:
            timeout_s = self._patience.saved_s
            await asyncio.wait(either, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            saved.cancel()

    def _check_resume(self, work: Generation) -> None:
        """Before a million ids are sent to the process, which takes seconds of the agent's loop."""
        if work.resume is None:
            return
        ids = len(work.resume.prompt_ids) + len(work.resume.emitted_ids)
        if ids > self._info.context_tokens:
            raise ContextOverflow(
                f"resume has {ids} tokens, and the model's context {self._info.context_tokens}",
                hint="resume where its context is as long as where it began",
            )

    def _check_alive(self) -> None:
        if self._child.dead.done():
            raise self._lost(self._child.dead.result())

    def _check_free(self) -> None:
        self._check_alive()
        if len(self._answers) >= self._info.slots:
            raise Overloaded(f"the engine of {self._name} is busy", hint="ask again in a moment")

    def _send(self, message: ToEngine) -> None:
        try:
            self._child.send(message)
        except FrameTooLarge as failure:
            raise ContextOverflow(
                f"the request is far too long: {failure}", hint="shorten it"
            ) from None

    async def _first(self, answer: AnswerStream) -> GenerationEvent | None:
        try:
            async with asyncio.timeout(self._patience.started_s):
                return await answer.next()
        except TimeoutError:
            raise await self._hung("no prompt was accepted") from None

    async def _hung(self, how: str) -> NodeLost:
        self._child.kill(f"it hung: {how} within {self._patience.started_s:g} s")
        return self._lost(await self.wait_dead())

    async def _cancel(self, number: int, answer: AnswerStream | VectorAnswer) -> None:
        """Break off the work, and return once its slot is free.

        Should the wait itself be cancelled, the slot is freed as soon as the engine answers.
        """
        limit = f"{self._patience.cancelled_s:g} s"
        self._watchdogs[number] = asyncio.get_running_loop().call_later(
            self._patience.cancelled_s,
            self._child.kill,
            f"it hung: a cancelled answer did not stop within {limit}",
        )
        self._child.send(Cancel(number))
        await answer.ended.wait()

    def _hear(self, message: FromEngine) -> None:
        """Take a message of the engine's; FrameError where no honest engine would send it."""
        match message:
            case Loading() | Loaded() | LoadRefused():
                self._load.hear(message)
            case Produced(number, event):
                answer = self._stream(number)
                answer.put(event)
                if answer.ended.is_set():
                    self._release(number)
            case Embedded(number, vectors):
                self._vectors(number).put(vectors)
            case EmbeddingEnded(number, prompt_tokens):
                self._vectors(number).finish(prompt_tokens)
                self._release(number)
            case TokensCounted(number, tokens):
                self._counting.end(number, tokens)
            case Failed(number, failure) if number in self._counting:
                self._counting.end(number, failure)
            case Failed(number, failure):
                self._answer(number).end(failure)
                self._release(number)
            case Cancelled(number):
                if number not in self._watchdogs:
                    raise FrameError("it cancelled by itself")
                self._answer(number).end(None)
                self._release(number)
            case Prefixes() | Saved() | Complaint():
                self._hear_aside(message)

    def _hear_aside(self, message: Prefixes | Saved | Complaint) -> None:
        """Take what is no part of a load or an answer."""
        match message:
            case Prefixes(held):
                self._prefixes = held
                self._prefixes_changed()
            case Saved():
                self._saved.set()
            case Complaint(words):
                self._complaints += 1
                if self._complaints <= _COMPLAINTS_MAX:
                    log.warning("engine of %s: %s", self._name, words)

    def _answer(self, number: int) -> AnswerStream | VectorAnswer:
        if number not in self._answers:
            raise FrameError(_UNASKED)
        return self._answers[number]

    def _stream(self, number: int) -> AnswerStream:
        if not isinstance(answer := self._answer(number), AnswerStream):
            raise FrameError(_UNASKED)
        return answer

    def _vectors(self, number: int) -> VectorAnswer:
        if not isinstance(answer := self._answer(number), VectorAnswer):
            raise FrameError(_UNASKED)
        return answer

    def _release(self, number: int) -> None:
        del self._answers[number]
        if watchdog := self._watchdogs.pop(number, None):
            watchdog.cancel()

    def _child_died(self, dead: asyncio.Future[str]) -> None:
        level = logging.INFO if self._closing else logging.WARNING
        log.log(level, "engine of %s: %s", self._name, dead.result())
        for number, answer in list(self._answers.items()):
            answer.end(self._lost(dead.result()))
            self._release(number)
        self._counting.end_all(self._lost(dead.result()))

    def _lost(self, reason: str) -> NodeLost:
        return NodeLost(f"the engine of {self._name} is gone: {reason}", hint="ask again")
