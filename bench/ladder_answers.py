"""Puts questions to the mesh, a few at a time, and keeps what came of each."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from bench.ladder_questions import Question
from bench.ladder_rungs import Rungs
from mesh.client import MeshClient, Message
from mesh.core.generation import TokenLogprob
from mesh.core.types import AUTO
from mesh.errors import MeshError
from mesh.v1 import inference_pb2 as inference

STREAMS = 8
LOGPROBS = 10  # as many candidates as a node's own signs are made of


@dataclass(frozen=True, slots=True)
class Told:
    """One answer. A question that got none is told as wrong, with no model."""

    question: Question
    text: str
    right: bool
    model: str  # that answered; "": none did
    tried: tuple[str, ...]  # in order, the one that answered last
    paid: bool  # for any of them
    cost_microusd: float  # money and energy of all that were tried
    first_s: float  # until there was something to read
    whole_s: float
    logprobs: tuple[TokenLogprob, ...] = ()
    failure: str = ""
    read_tokens: int = 0  # of prompts, by all that were tried, which none of them held already


@dataclass(frozen=True, slots=True)
class How:
    """How questions are asked."""

    model: str = AUTO
    policy: str = ""
    logprobs: int | None = None
    session: str = ""


async def ask_all(
    client: MeshClient, rungs: Rungs, questions: Sequence[Question], how: How
) -> list[Told]:
    """Return an answer for each question, in their order."""
    told: list[Told | None] = [None] * len(questions)
    waiting = iter(range(len(questions)))

    async def stream() -> None:
        for place in waiting:
            told[place] = await ask(client, rungs, questions[place], how)

    async with asyncio.TaskGroup() as group:
        for _ in range(STREAMS):
            group.create_task(stream())
    return [each for each in told if each is not None]


async def warm_up(client: MeshClient, rungs: Rungs, question: Question) -> None:
    """Let every model answer once, so that no measured answer waits for a load."""
    for name in (*(each.name for each in rungs.models), rungs.paid):
        await ask(client, rungs, question, How(model=name))


async def ask(
    client: MeshClient,
    rungs: Rungs,
    question: Question,
    how: How,
    earlier: Sequence[Message] = (),
) -> Told:
    """Ask one question; ``earlier`` are the turns before it."""
    began_s = time.perf_counter()
    first_s, pieces = 0.0, []
    system = [Message("system", rungs.instruction)] if rungs.instruction else []
    stream = client.generate(
        [*system, *earlier, Message("user", question.prompt)],
        model=how.model,
        policy=how.policy,
        tier="cloud",
        temperature=0.0,
        max_tokens=question.max_tokens,
        logprobs=how.logprobs,
        session=how.session,
    )
    failure = ""
    try:
        async with stream:
            async for text in stream:
                first_s = first_s or time.perf_counter() - began_s
                pieces.append(text)
    except MeshError as failed:
        failure = failed.code
    whole_s = time.perf_counter() - began_s
    text, receipt = "".join(pieces), stream.receipt
    tried = tuple(each.model_name for each in receipt.attempts)
    return Told(
        question=question,
        text=text,
        right=not failure and question.is_right(text),
        model="" if failure or not tried else tried[-1],
        tried=tried,
        paid=any(_is_paid(each) for each in receipt.attempts),
        cost_microusd=cost_microusd(receipt, rungs),
        first_s=first_s or whole_s,
        whole_s=whole_s,
        logprobs=tuple(stream.logprobs),
        failure=failure,
        read_tokens=sum(
            each.usage.prompt_tokens - each.usage.cached_tokens for each in receipt.attempts
        ),
    )


def _is_paid(attempt: inference.Attempt) -> bool:
    """What the upstream has refused is no call that anybody pays for."""
    in_cloud = attempt.tier == inference.TIER_CLOUD
    return in_cloud and (attempt.cost_microusd > 0 or attempt.outcome == "answered")


def cost_microusd(receipt: inference.Receipt, rungs: Rungs) -> float:
    """Return the money of a receipt, and the energy of the machines that it names."""
    energy = 0.0
    for attempt in receipt.attempts:
        if (local := rungs.of(attempt.model_name)) is not None:
            usage = attempt.usage
            energy += local.energy_microusd(usage.prompt_tokens, usage.completion_tokens)
    return receipt.cost_microusd + energy
