"""Answers that are cut, and what became of them."""

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import product

from mesh.client import MeshClient
from mesh.errors import MeshError
from mesh.v1 import inference_pb2 as inference

_COUNT = "Count from 1 to 60"
_PROMPTS = (_COUNT, "Reverse the word: mesh", "Count from 3 to 50")


@dataclass(frozen=True, slots=True)
class Case:
    """One question, and how it is asked: the same each time."""

    model: str
    prompt: str
    temperature: float
    seed: int
    max_tokens: int

    def request(self) -> inference.GenerateRequest:
        message = inference.Message(
            role=inference.ROLE_USER, parts=[inference.Part(text=self.prompt)]
        )
        return inference.GenerateRequest(
            request_id=uuid.uuid4().hex,
            model=self.model,
            messages=[message],
            sampling=inference.Sampling(temperature=self.temperature, seed=self.seed),
            max_tokens=self.max_tokens,
            deadline_ms=120_000,
        )


def cases(trained: str, close: str) -> list[Case]:
    """Greedy and seeded, on a model that means what it says and on one whose logits are close."""
    drawn = [(0.0, 1), (1.0, 7), (1.0, 8)]
    return [
        *(Case(trained, _PROMPTS[0], *how, max_tokens=100) for how in drawn),
        *(Case(trained, _PROMPTS[2], *how, max_tokens=100) for how in drawn),
        *(Case(close, prompt, *how, 240) for prompt, how in product(_PROMPTS, drawn)),
    ]


@dataclass(slots=True)
class Told:
    """One answer as its client got it."""

    case: Case
    sent_s: float  # on ``time.monotonic``
    started: inference.GenerationStarted = field(default_factory=inference.GenerationStarted)
    ids: list[int] = field(default_factory=list)
    text: str = ""
    arrivals: list[tuple[int, float]] = field(default_factory=list)  # offset, when
    lost: int = 0  # tokens that were left out
    repeated: int = 0
    fate: str = ""  # of its attempts, if it was lost
    finished: inference.GenerationFinished | None = None

    def take(self, event: inference.GenerateEvent) -> None:
        match event.WhichOneof("event"):
            case "started":
                self.started = event.started
            case "delta":
                delta = event.delta
                gap = delta.token_offset - len(self.ids)
                self.lost += max(0, gap)
                self.repeated += max(0, -gap)
                self.arrivals.append((delta.token_offset, time.monotonic()))
                self.ids.extend(delta.ids)
                self.text += delta.text
            case "finished":
                self.finished = event.finished
            case "failed":
                tried = event.failed.receipt.attempts
                self.fate = "; ".join(f"{each.node_name} {each.outcome}" for each in tried)
            case _:
                pass

    @property
    def attempts(self) -> Sequence[inference.Attempt]:
        return self.finished.receipt.attempts if self.finished is not None else ()

    @property
    def cut_after(self) -> int | None:
        """How many tokens the first machine gave; None: no other one went on."""
        first, *others = self.attempts or (inference.Attempt(),)
        return first.usage.completion_tokens if others and first.first_token_s > 0 else None

    @property
    def noticed_s(self) -> float:
        """When the coordinator ended the first attempt, on ``time.monotonic``."""
        assert self.finished is not None
        receipt = self.finished.receipt
        return self.sent_s + receipt.queued_s + receipt.attempts[0].duration_s

    @property
    def went_on_s(self) -> float | None:
        """When the client had the first token of the second machine."""
        cut = self.cut_after
        return next((at_s for offset, at_s in self.arrivals if cut and offset >= cut), None)

    def rest(self) -> inference.GenerateRequest:
        """Return a request for what the second machine gave."""
        cut = self.cut_after
        assert cut is not None
        request, started = self.case.request(), self.started
        request.resume.CopyFrom(
            inference.Resume(
                prompt_ids=started.prompt_ids,
                emitted_ids=self.ids[:cut],
                # Held-back text comes again; ids are what is compared.
                text_bytes_sent=0,
                seed=started.seed,
                sampler_version=started.sampler_version,
                model_id=started.model_id,
                numerics=started.numerics,
            )
        )
        return request


async def tell(
    client: MeshClient, case: Case, *, at: Callable[[Told], None] = lambda told: None
) -> Told:
    """Ask and read to the end; ``at`` looks at it after each event.

    Raises:
        MeshError: the answer was lost.
    """
    told = Told(case, time.monotonic())
    try:
        async for event in client.answer(case.request()):
            told.take(event)
            at(told)
    except MeshError as failure:
        raise type(failure)(f"{failure.message} ({told.fate})", hint=failure.hint) from None
    return told
