"""Models that do not fit together, on a played machine: nothing is ever lost by it but time."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.core.types import ReplicaState
from mesh.settings import NodeSettings
from node_agent.engine.echo import EchoEngine
from node_agent.engine.protocol import Engine
from node_agent.library.view import LibraryEntry
from node_agent.line import Line
from node_agent.memory import MARGIN_BYTES, Footprint
from node_agent.shelf import Shelf
from node_agent.turns import PATIENCE_S
from tests.node_agent.played_engines import entry, library
from tests.node_agent.played_time import run

MB = 1 << 20
CONTEXT_TOKENS = 2048  # of every played model
LOAD_S = 3.0
CLOSE_S = 0.5
FOR_EVER_S = 1e6


def model(name: str, megabytes: int, slot_megabytes: int = 0) -> LibraryEntry:
    """Return a model that takes about so much with one slot."""
    size_bytes = (megabytes - slot_megabytes) * MB
    per_token = slot_megabytes * MB // CONTEXT_TOKENS
    return entry(name, size_bytes=size_bytes, cache_bytes_per_token=per_token)


@dataclass(eq=False)
class Machine:
    """Counts what engines take. Fails the test where that is more than there is."""

    free_bytes: int  # with nothing loaded
    budget_bytes: int
    taken: dict[Engine, int] = field(default_factory=dict)
    users: dict[Engine, int] = field(default_factory=dict)
    loading: int = 0
    loads: int = 0

    async def load(
        self, entry: LibraryEntry, slots: int, context_tokens: int, told: Callable[[float], None]
    ) -> Engine:
        self.loads += 1
        self.loading += 1
        assert self.loading == 1, "one at a time"
        needed = Footprint(entry.shape).taken_bytes(slots, context_tokens)
        engine = _Engine(self, slots, context_tokens)
        self.taken[engine] = needed
        assert sum(self.taken.values()) <= self.budget_bytes, "over the budget"
        assert sum(self.taken.values()) + MARGIN_BYTES <= self.free_bytes, "more than is free"
        try:
            await asyncio.sleep(LOAD_S / 2)
            told(0.5)
            await asyncio.sleep(LOAD_S / 2)
        finally:
            self.loading -= 1
        return engine

    def shelf(self, models: Sequence[LibraryEntry], slots: int = 2) -> Shelf:
        total = 1 << 40
        share = self.budget_bytes / total
        shelf = Shelf(
            self.load,
            NodeSettings(
                slots=slots,
                context_tokens_max=CONTEXT_TOKENS,
                idle_unload_s=0,
                memory_share_max=share,
            ),
            free_memory=lambda: self.free_bytes - sum(self.taken.values()),
            total_memory=lambda: total,
        )
        shelf.show(library(*models))
        return shelf


class _Engine(EchoEngine):
    def __init__(self, machine: Machine, slots: int, context_tokens: int) -> None:
        super().__init__(slots=slots, context_tokens=context_tokens)
        self._machine = machine

    async def close(self) -> None:
        assert not self._machine.users.get(self), "a busy model was unloaded"
        if self in self._machine.taken:
            await asyncio.sleep(CLOSE_S)
            self._machine.taken.pop(self, None)
        await super().close()


async def ask(line: Line, machine: Machine, asked: LibraryEntry, answer_s: float) -> float:
    """Be answered by a model, and return when."""
    loop = asyncio.get_running_loop()
    slot = await line.slot([asked.model.model_id], loop.time() + FOR_EVER_S)
    try:
        engine = await slot.engine()
        machine.users[engine] = machine.users.get(engine, 0) + 1
        try:
            assert machine.users[engine] <= engine.info.slots
            await asyncio.sleep(answer_s)
        finally:
            machine.users[engine] -= 1
    finally:
        slot.free()
    return loop.time()


def test_a_request_waits_until_the_busy_model_has_ended_and_is_answered() -> None:
    async def play() -> None:
        machine = Machine(free_bytes=10_000 * MB, budget_bytes=1_500 * MB)
        a, b = model("a", 1_000), model("b", 1_000)
        shelf = machine.shelf([a, b])
        line = Line(shelf)
        async with shelf.running():
            first = asyncio.create_task(ask(line, machine, a, 30))
            await asyncio.sleep(LOAD_S + 1)
            ended_s = await ask(line, machine, b, 1)
            assert first.done()
            assert LOAD_S + 30 < ended_s < LOAD_S + 30 + CLOSE_S + LOAD_S + 2
            states = [status.state for _, status in shelf.statuses()]
            assert states == [ReplicaState.AVAILABLE, ReplicaState.WARM]

    run(play())


def test_a_model_that_is_never_idle_gives_way_in_its_turn() -> None:
    async def play() -> None:
        machine = Machine(free_bytes=10_000 * MB, budget_bytes=1_500 * MB)
        a, b = model("a", 1_000), model("b", 1_000)
        shelf = machine.shelf([a, b])
        line = Line(shelf)
        answered = 0

        async def keep_busy() -> None:
            nonlocal answered
            while True:
                await ask(line, machine, a, 4)
                answered += 1

        async with shelf.running(), asyncio.TaskGroup() as tasks:
            crowd = [tasks.create_task(keep_busy()) for _ in range(6)]
            await asyncio.sleep(20.7)
            before = asyncio.get_running_loop().time()
            for _ in range(3):  # each turn anew
                ended_s = await ask(line, machine, b, 1)
                assert ended_s - before < PATIENCE_S + 4 + CLOSE_S + LOAD_S + 1 + 3
                had = answered
                await asyncio.sleep(60)
                assert answered > had + 15, "and then the others have theirs"
                before = asyncio.get_running_loop().time()
            for task in crowd:
                task.cancel()

    run(play())


def test_while_it_waits_for_memory_a_model_is_told_as_full_and_then_as_free() -> None:
    async def play() -> None:
        machine = Machine(free_bytes=10_000 * MB, budget_bytes=1_500 * MB)
        a, b = model("a", 1_000), model("b", 1_000)
        shelf = machine.shelf([a, b])
        async with shelf.running():
            busy = asyncio.create_task(ask(Line(shelf), machine, a, 5))
            await asyncio.sleep(LOAD_S + 1)
            assert not shelf.busy(b.model.model_id)
            assert shelf.take(b.model.model_id) == "busy"
            assert shelf.busy(b.model.model_id)
            told = dict(shelf.statuses())[2]
            assert (told.state, told.slots_taken) == (ReplicaState.AVAILABLE, told.slots)
            await busy
            await asyncio.sleep(0.1)
            assert dict(shelf.statuses())[2].slots_taken == 0

    run(play())


def test_a_wish_that_passed_holds_nobody_back_for_long() -> None:
    async def play() -> None:
        machine = Machine(free_bytes=10_000 * MB, budget_bytes=1_500 * MB)
        a, b = model("a", 1_000), model("b", 1_000)
        shelf = machine.shelf([a, b])
        line = Line(shelf)
        async with shelf.running():
            busy = asyncio.create_task(ask(line, machine, a, 300))
            await asyncio.sleep(LOAD_S + 1)
            shelf.take(b.model.model_id)  # and never again
            await asyncio.sleep(PATIENCE_S + 2)
            assert shelf.busy(a.model.model_id), "it yields"
            await asyncio.sleep(65)
            await ask(line, machine, a, 1)
            await busy
            await asyncio.sleep(200)
            assert machine.loads == 1

    run(play())


ASKED = st.tuples(st.integers(0, 4), st.sampled_from([0.0, 0.3, 2.0, 20.0]), st.floats(0, 9))
SHAPES = st.tuples(st.integers(10, 900), st.sampled_from([0, 5, 10]))


@settings(max_examples=60, deadline=None)
@given(
    shapes=st.lists(SHAPES, min_size=5, max_size=5),
    asked=st.lists(ASKED, min_size=1, max_size=40),
    budget_megabytes=st.integers(950, 2_500),
    free_megabytes=st.integers(1_250, 2_500),
)
def test_whatever_is_asked_in_whatever_order_everybody_is_answered_within_memory(
    shapes: list[tuple[int, int]],
    asked: list[tuple[int, float, float]],
    budget_megabytes: int,
    free_megabytes: int,
) -> None:
    async def play() -> None:
        machine = Machine(free_megabytes * MB, budget_megabytes * MB)
        models = [model(f"m{i}", size, slot) for i, (size, slot) in enumerate(shapes)]
        shelf = machine.shelf(models)
        line = Line(shelf)
        async with shelf.running(), asyncio.TaskGroup() as tasks:
            for which, answer_s, pause_s in asked:
                tasks.create_task(ask(line, machine, models[which], answer_s))
                await asyncio.sleep(pause_s)

    run(play())
