"""An agent's task: thirty steps of one session, whose prompt grows by each, with and without it."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from bench.ladder_answers import How, Told, ask
from bench.ladder_questions import Question, of_domain
from bench.ladder_rungs import Rungs
from mesh.client import MeshClient, Message

STEPS = 30
DOMAIN = "text"  # that three of the mesh's models know


@dataclass(frozen=True, slots=True)
class Trace:
    """What a whole task came to."""

    cost_microusd: float
    read_tokens: int  # anew, of all prompts
    changes: int  # of the model, from one step to the next
    paid_share: float
    right_share: float

    @classmethod
    def of(cls, told: Sequence[Told]) -> "Trace":
        return cls(
            cost_microusd=sum(each.cost_microusd for each in told),
            read_tokens=sum(each.read_tokens for each in told),
            changes=sum(one.model != two.model for one, two in pairwise(told)),
            paid_share=sum(each.paid for each in told) / len(told),
            right_share=sum(each.right for each in told) / len(told),
        )


def steps_of(questions: Sequence[Question]) -> list[Question]:
    """Return those of the questions that an agent's task is played with: the shortest ones, for the
    test models read a byte as a token, and have room for 1,024 of them."""
    return sorted(of_domain(questions, DOMAIN), key=lambda each: len(each.prompt))[:STEPS]


async def play(
    client: MeshClient, rungs: Rungs, steps: Sequence[Question], how: How, *, sticky: bool
) -> Trace:
    """Ask one step after the other, each with all earlier ones before it; ``sticky`` tells the mesh
    that they are of one session."""
    if sticky:
        how = replace(how, session=uuid.uuid4().hex)
    earlier: list[Message] = []
    told = []
    for step in steps:
        answer = await ask(client, rungs, step, how, earlier)
        told.append(answer)
        earlier += [Message("user", step.prompt), Message("assistant", answer.text or "-")]
    return Trace.of(told)
