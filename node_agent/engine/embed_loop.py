"""The engine process of a model that embeds: reads texts and sends their vectors, batch by batch.

Requests take turns, a batch or some reading at a time, so that a short one passes a long one, and a
cancellation is heard between. A long text takes a minute on a slow machine, so the main thread
hears what is asked and counts tokens, and another one works the model.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import TYPE_CHECKING, NoReturn

from mesh.core.generation import Generation
from mesh.errors import (
    ContextOverflow,
    InternalError,
    InvalidRequest,
    MeshError,
    NodeLost,
    Unsupported,
)
from node_agent.engine.abort import Aborted
from node_agent.engine.embedder import Embedder
from node_agent.engine.inbox import Inbox
from node_agent.engine.llama import DecodeError
from node_agent.engine.messages import (
    Cancelled,
    CountTokens,
    Embed,
    Embedded,
    EmbeddingEnded,
    Failed,
    FromEngine,
    Generate,
    TokensCounted,
)
from node_agent.engine.prompts import whereabouts

if TYPE_CHECKING:
    from array import array

# Characters tokenised in a turn: some 10 ms.
READ_CHARACTERS = 64 * 1024

Send = Callable[[FromEngine], None]


@dataclass(slots=True, eq=False)
class Job:
    """One request that is being embedded. All of it is read before any of it is computed."""

    number: int
    unread: deque[str]
    read: "deque[array[int]]" = field(default_factory=deque)
    texts: int = 0  # that were read
    prompt_tokens: int = 0


class EmbedLoop:
    """Answers what comes through the inbox."""

    def __init__(self, embedder: Embedder, inbox: Inbox, send: Send) -> None:
        self._embedder = embedder
        self._inbox = inbox
        self._send = send
        self._new: SimpleQueue[Job] = SimpleQueue()
        self._jobs: deque[Job] = deque()  # whose turn it is comes first

    def hear_all(self) -> NoReturn:
        """Take in what is asked, for as long as the process lives; called by the main thread."""
        while True:
            match self._inbox.asked():
                case Embed(number, texts):
                    self._new.put(Job(number, deque(texts)))
                case CountTokens(number, work):
                    self._send(self._count(number, work))
                case Generate(number, _):
                    failure = Unsupported("the model embeds text, and writes none")
                    self._inbox.ended(number)
                    self._send(Failed(number, failure))

    def run(self) -> NoReturn:
        """Work until the process ends.

        Raises:
            DecodeError: llama.cpp failed; every request was told.
        """
        while True:
            self.turn()

    def turn(self) -> None:
        """Hear what is new, waiting for it if there is nothing to do, and do some of one request.

        Raises:
            DecodeError: as ``run``.
        """
        self._hear()
        if not self._jobs:
            return
        job = self._jobs.popleft()
        try:
            last = self._work(job)
        except DecodeError as failure:
            for each in (job, *self._jobs):
                self._end(each, Failed(each.number, NodeLost(str(failure))))
            raise
        except Aborted:
            last = Cancelled(job.number)
        except MeshError as failure:
            last = Failed(job.number, failure)
        except Exception as failure:  # a bug of ours ends the request, not the process
            last = Failed(job.number, InternalError(whereabouts(failure)))
        if last is None:
            self._jobs.append(job)
        else:
            self._end(job, last)

    def _hear(self) -> None:
        if not self._jobs:
            self._jobs.append(self._new.get())
        while not self._new.empty():
            self._jobs.append(self._new.get())
        _, cancelled = self._inbox.news(wait=False)
        for job in [job for job in self._jobs if job.number in cancelled]:
            self._jobs.remove(job)
            self._end(job, Cancelled(job.number))

    def _count(self, number: int, work: Generation) -> FromEngine:
        try:
            counted = [len(self._embedder.tokenise(each.text)) for each in work.messages]
        except Exception as failure:  # a bug of ours ends the request, not the process
            return Failed(number, InternalError(whereabouts(failure)))
        return TokensCounted(number, sum(counted))

    def _work(self, job: Job) -> FromEngine | None:
        """Do some of it; return its last message once it is done.

        Raises:
            Aborted: it was cancelled.
            DecodeError, MeshError: as ``Embedder.embed``, or a text is longer than the context.
        """
        if job.unread:
            self._read(job)
            return None
        batch: list[array[int]] = []
        tokens = 0
        while job.read and self._embedder.fits(tokens, len(batch), len(job.read[0])):
            tokens += len(job.read[0])
            batch.append(job.read.popleft())
        self._inbox.begin_step({job.number})
        self._send(Embedded(job.number, self._embedder.embed(batch)))
        return None if job.read else EmbeddingEnded(job.number, job.prompt_tokens)

    def _read(self, job: Job) -> None:
        characters, room = 0, self._embedder.context_tokens
        while job.unread and characters < READ_CHARACTERS:
            text = job.unread.popleft()
            characters += len(text)
            ids = self._embedder.tokenise(text)
            if len(ids) > room:
                raise ContextOverflow(
                    f"inputs[{job.texts}] has {len(ids)} tokens, and the model takes {room}",
                    hint="cut it into shorter texts, or use a model with a longer context",
                )
            if not ids:
                raise InvalidRequest(
                    f"inputs[{job.texts}] has no token that the model knows",
                    hint="leave texts without words out",
                )
            job.read.append(ids)
            job.texts += 1
            job.prompt_tokens += len(ids)

    def _end(self, job: Job, last: FromEngine) -> None:
        self._inbox.ended(job.number)
        self._send(last)
