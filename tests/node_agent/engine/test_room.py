"""A model without room for everybody: somebody waits, nobody fails, nothing is said twice."""

from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from mesh.core.generation import Delta, Finished, Generation
from mesh.errors import ContextOverflow
from node_agent.engine.abort import AbortFlag
from node_agent.engine.bindings import native
from node_agent.engine.inbox import Inbox, Prepared, Prompt
from node_agent.engine.llama import Llama, NoRoom
from node_agent.engine.messages import Failed, FromEngine, Generate, Produced
from node_agent.engine.pace import Pace
from node_agent.engine.proof import prove
from node_agent.engine.scheduler import Row
from node_agent.engine.step_loop import StepLoop
from tests.node_agent.engine.asking import ask

SLOTS = 3


class Scarce(Llama):
    """The real thing, but it says at times that its memory is full, as a shared cache would."""

    full_every = 0
    full_from = 1  # slots that hold something
    _steps = 0

    def decode(self, rows: Sequence[Row], *, logits: bool, last: bool) -> None:
        self._steps += 1
        held = [slot for slot in range(self.slots) if self._holds_any(slot)]
        full = self.full_every and self._steps % self.full_every == 0
        if full and len(held) >= self.full_from:
            raise NoRoom
        super().decode(rows, logits=logits, last=last)

    def _holds_any(self, slot: int) -> bool:
        memory = native.llama_get_memory(self.context)
        return bool(native.llama_memory_seq_pos_max(memory, slot) >= 0)


class Heard:
    """What a step loop sent, by request."""

    def __init__(self) -> None:
        self.ids: dict[int, list[int]] = {}
        self.ended: dict[int, FromEngine] = {}
        self.started = 0

    def send(self, message: FromEngine) -> None:
        match message:
            case Produced(number, Delta(offset, ids)):
                said = self.ids.setdefault(number, [])
                assert offset == len(said), "a token is lost, or said twice"
                said.extend(ids)
            case Produced(number, Finished()) | Failed(number, _):
                self.ended[number] = message
            case Produced():
                self.started += 1


def answer(
    llama: Scarce, works: Sequence[Generation], *, full_every: int, full_from: int = 2
) -> Heard:
    llama.full_every, llama.full_from = 0, full_from
    plan = prove(llama)
    heard = Heard()
    inbox = Inbox(AbortFlag())
    loop = StepLoop(llama, plan, Pace.of_machine(1), inbox, heard.send)
    llama.full_every = full_every
    for number, work in enumerate(works):
        inbox.put(Generate(number, work))
        ids = (257, 10, *work.messages[0].text.encode(), 256, 10, 258, 10)
        inbox.prepared(Prepared(number, work, Prompt(ids)))
    while len(heard.ended) < len(works):
        loop.turn()
    return heard


@pytest.fixture(scope="module")
def llama(close_half_model: Path) -> Scarce:
    return Scarce(close_half_model, context_tokens=256, slots=SLOTS, threads=1, abort=AbortFlag())


def test_answers_are_the_same_though_room_is_scarce(llama: Scarce) -> None:
    random = Random(2)
    works = [
        ask("".join(chr(random.randrange(97, 123)) for _ in range(60)), max_tokens=25)
        for _ in range(5)
    ]
    undisturbed = answer(llama, works, full_every=0)
    scarce = answer(llama, works, full_every=7)
    assert scarce.ids == undisturbed.ids
    assert scarce.started == len(works), "a preempted answer began again"


def test_one_that_finds_no_room_alone_fails_by_name(llama: Scarce) -> None:
    heard = answer(llama, [ask("go", max_tokens=5)], full_every=1, full_from=0)
    ended = heard.ended[0]
    assert isinstance(ended, Failed)
    assert isinstance(ended.error, ContextOverflow)
    assert "no room" in ended.error.message
