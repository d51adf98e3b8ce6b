"""An agent's task: thirty steps of one session, whose prompt grows by each, with and without it."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from bench.ladder_answers import How, Told, ask
from bench.ladder_questions import Question
from bench.ladder_rungs import Rungs
from mesh.client import MeshClient, Message

STEPS = 30
TASKS = 5


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
    """Return those of the questions that an agent's task is played with: the shortest ones of some
    tasks. The test models read a byte as a token, and have room for 1,024 of them."""
    by_task: dict[str, list[Question]] = {}
    for each in sorted(questions, key=lambda each: len(each.prompt)):
        by_task.setdefault(each.task.name, []).append(each)
    some = list(by_task.values())[:TASKS]  # those with the shortest first
    chosen = {each.prompt for of_task in some for each in of_task[: STEPS // TASKS]}
    return [each for each in questions if each.prompt in chosen]


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
