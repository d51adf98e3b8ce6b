"""What tests of programs around the mesh need: someone to ask who answers as the test says."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

from mesh.v1 import inference_pb2 as inference

Step = inference.GenerateEvent | Exception | asyncio.Event


@dataclass(slots=True)
class PlayedAsking:
    """``mesh.asking.Asking`` that answers every request by one script.

    A step is an event to give, an error to raise, or an ``asyncio.Event`` to wait for.
    """

    script: Sequence[Step] = ()
    views: Sequence[inference.ModelView] = ()
    asked: list[inference.GenerateRequest] = field(default_factory=list)
    embedded: list[inference.EmbedRequest] = field(default_factory=list)
    told: list[inference.Feedback | inference.Outcome] = field(default_factory=list)
    begun: asyncio.Event = field(default_factory=asyncio.Event)  # an answer was asked for
    closed: asyncio.Event = field(default_factory=asyncio.Event)  # an answer ended, or was left

    async def answer(
        self, request: inference.GenerateRequest
    ) -> AsyncGenerator[inference.GenerateEvent, None]:
        self.asked.append(request)
        self.begun.set()
        try:
            for step in self.script:
                if isinstance(step, asyncio.Event):
                    await step.wait()
                elif isinstance(step, Exception):
                    raise step
                else:
                    yield step
        finally:
            self.closed.set()

    async def embeddings(self, request: inference.EmbedRequest) -> inference.EmbedResponse:
        """Each vector is a text's length and 1, unless the script begins with an error."""
        self.embedded.append(request)
        self.begun.set()
        try:
            match self.script[:1]:
                case [Exception() as failure]:
                    raise failure
                case [asyncio.Event() as event]:
                    await event.wait()
                case _:
                    pass
        finally:
            self.closed.set()
        return inference.EmbedResponse(
            embeddings=[inference.Embedding(values=(len(text), 1)) for text in request.inputs],
            usage=inference.Usage(prompt_tokens=7),
            receipt=inference.Receipt(
                request_id=request.request_id,
                attempts=[inference.Attempt(model_name="embedder", node_name="desk")],
            ),
        )

    async def token_count(
        self, request: inference.CountTokensRequest
    ) -> inference.CountTokensResponse:
        return inference.CountTokensResponse(model_id="m", tokens=len(request.messages))

    async def models(self) -> Sequence[inference.ModelView]:
        return self.views

    async def feedback(self, message: inference.Feedback) -> None:
        self.told.append(message)

    async def outcome(self, message: inference.Outcome) -> None:
        self.told.append(message)


def started(model: str = "qwen", node: str = "desk", **more: object) -> inference.GenerateEvent:
    """Return the event that begins an answer."""
    known = {"model_name": model, "node_name": node, "numerics": "n", "tier": inference.TIER_MESH}
    return inference.GenerateEvent(started=inference.GenerationStarted(**(known | more)))  # type: ignore[arg-type]


def delta(text: str = "", **more: object) -> inference.GenerateEvent:
    """Return the event that carries a piece of an answer."""
    told = inference.GenerationDelta(text=text, **more)  # type: ignore[arg-type]
    return inference.GenerateEvent(delta=told)


def finished(
    reason: inference.FinishReason = inference.FINISH_REASON_STOP, **receipt: object
) -> inference.GenerateEvent:
    """Return the event that ends an answer; ``receipt`` are fields of it."""
    usage = inference.Usage(prompt_tokens=7, cached_tokens=4, completion_tokens=2)
    account = inference.Receipt(**({"tier": inference.TIER_MESH, "policy": "balanced"} | receipt))  # type: ignore[arg-type]
    return inference.GenerateEvent(
        finished=inference.GenerationFinished(reason=reason, usage=usage, receipt=account)
    )
