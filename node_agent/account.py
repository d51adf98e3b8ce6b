"""The account of a request that this machine answers by itself, with one attempt."""

import asyncio
from dataclasses import replace

from mesh.core.actions import SendStarted
from mesh.core.embedding import Embeddings
from mesh.core.generation import Delta, Finished, GenerationEvent, Started
from mesh.core.progress import Attempt, Progress
from mesh.core.receipt import Candidate, Receipt
from mesh.core.refusals import node_failed
from mesh.core.types import (
    AttemptId,
    Epoch,
    Failure,
    FailureCode,
    NodeId,
    Offer,
    Request,
    Tier,
    Usage,
)
from mesh.errors import MeshError
from mesh.v1 import inference_pb2 as inference
from mesh.wire.answers import write_delta, write_finished, write_origin, write_started
from mesh.wire.embeddings import write_embeddings
from mesh.wire.receipts import write_failed, write_receipt
from node_agent.answering import SAMPLER_VERSION

NO_EPOCH = Epoch(0)  # nobody attached for it
NO_COORDINATOR = ""


class Account:
    """Turns what the engine says into what the client gets, and adds up the receipt."""

    def __init__(self, request: Request, node_id: NodeId, node_name: str, *, why: str) -> None:
        self._node_id = node_id
        self._node_name = node_name
        self._clock = asyncio.get_running_loop().time
        self._progress = Progress(request, 1, arrived_s=self._clock(), why=why)

    def begin(self, attempt_id: AttemptId, offer: Offer, tier: Tier) -> None:
        """A slot is taken. ``tier`` is how far the prompt has travelled."""
        model = offer.model
        now_s, progress = self._clock(), self._progress
        chosen = Candidate(
            node_id=self._node_id,
            node_name=self._node_name,
            model_id=model.model_id,
            model_name=model.name,
            first_token_s=0.0,  # nothing was predicted: there was no choice of machines
            completion_s=0.0,
            cost=0.0,
            free=True,
            engine=offer.engine,
        )
        progress.attempt = Attempt(attempt_id, chosen, NO_EPOCH, 0, now_s, model.test, tier)
        progress.candidates, progress.first_attempt_s = (chosen,), now_s

    def event(self, event: GenerationEvent, seed: int) -> inference.GenerateEvent:
        """Take note of what the engine said, and return it as the client gets it."""
        progress, attempt = self._progress, self._progress.attempt
        assert attempt is not None, "it has begun"
        match event:
            case Delta():
                if attempt.first_token_s is None:
                    attempt.first_token_s = self._clock()
                    progress.first_token_s = progress.visible_s = attempt.first_token_s
                attempt.tokens += event.tokens
                return inference.GenerateEvent(delta=write_delta(event))
            case Started():
                attempt.prompt_tokens, attempt.numerics = len(event.prompt_ids), event.numerics
                started = write_started(event, seed=seed, sampler_version=SAMPLER_VERSION)
                origin = SendStarted(
                    key=progress.request.key,
                    attempt_id=attempt.attempt_id,
                    candidate=attempt.candidate,
                    tier=attempt.tier,
                    why=progress.why,
                    payload=started,
                )
                write_origin(started, origin)
                return inference.GenerateEvent(started=started)
            case Finished():
                progress.close("answered", "", self._clock(), event.usage)
                finished = write_finished(event)
                finished.receipt.CopyFrom(write_receipt(self._receipt(), NO_COORDINATOR))
                return inference.GenerateEvent(finished=finished)

    def embedded(self, made: Embeddings) -> inference.EmbedResponse:
        """End well: return what the client gets."""
        usage = Usage(prompt_tokens=made.prompt_tokens)
        self._progress.close("answered", "", self._clock(), usage)
        return write_embeddings(made, write_receipt(self._receipt(), NO_COORDINATOR))

    def fail(self, error: MeshError) -> tuple[inference.GenerateEvent, Failure]:
        """End badly: return the client's last event, and the failure that follows it."""
        failure = Failure(FailureCode(error.code), error.message, error.hint)
        attempt = self._progress.attempt
        if attempt is not None:
            self._progress.close(failure.code, failure.message, self._clock())
            if failure.code.elsewhere:
                failure = node_failed(
                    self._node_name, failure, seen=attempt.first_token_s is not None
                )
        failed = write_failed(failure, self._receipt(), NO_COORDINATOR)
        return inference.GenerateEvent(failed=failed), failure

    def _receipt(self) -> Receipt:
        receipt = self._progress.receipt(self._clock())
        return replace(receipt, notes=(self._progress.why, *receipt.notes))
