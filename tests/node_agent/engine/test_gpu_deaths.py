"""Engines that load onto one GPU at the same time: each of them ends up with what is left."""

import asyncio
import logging
from dataclasses import dataclass, field

import pytest

from node_agent.engine.gpu_deaths import load_with_less_on_gpus
from node_agent.engine.gpu_layers import OFF_MAX, Layers
from node_agent.engine.protocol import LoadDied, LoadFailed

GB = 1 << 30
MODEL = Layers(32, 4 * GB, GB // 2)


@dataclass
class SharedGpu:
    """Who looks at it sees what is free; who then takes more than there is, dies of it."""

    free_bytes: int
    tried: list[int] = field(default_factory=list)

    async def load(self, off: float | None) -> int:
        """Return the layers that are there."""
        layers = 0 if off is None else MODEL.fit([self.free_bytes], off)
        self.tried.append(layers)
        await asyncio.sleep(0)  # the other one looks meanwhile
        taken = MODEL.taken_bytes(layers)
        if taken > self.free_bytes:
            raise LoadDied("m.gguf can't be loaded: it was killed by SIGABRT", hint="")
        self.free_bytes -= taken
        return layers


async def test_two_that_load_at_once_share_a_gpu(caplog: pytest.LogCaptureFixture) -> None:
    gpu = SharedGpu(6 * GB)
    with caplog.at_level(logging.WARNING):
        held = await asyncio.gather(*(load_with_less_on_gpus(gpu.load, 1.0) for _ in range(2)))
    assert max(held) == 33
    assert min(held) < 33
    assert gpu.free_bytes >= 0
    assert "fewer of its layers on the GPU" in caplog.text, "the owner is told"


async def test_one_whose_gpu_is_taken_from_it_again_and_again_ends_on_the_processor(
    caplog: pytest.LogCaptureFixture,
) -> None:
    tried: list[float | None] = []

    async def load(off: float | None) -> int:
        tried.append(off)
        if off is not None:
            raise LoadDied("m.gguf can't be loaded: it was killed by SIGABRT", hint="")
        return 0

    assert await load_with_less_on_gpus(load, 1.0) == 0
    assert tried == [1.0, OFF_MAX, None]
    assert "nothing of it on the GPU" in caplog.text
    tried.clear()
    assert await load_with_less_on_gpus(load, OFF_MAX) == 0
    assert tried == [OFF_MAX, None]


async def test_a_load_that_was_refused_is_not_tried_again() -> None:
    tried = []

    async def load(off: float | None) -> int:
        tried.append(off)
        raise LoadFailed("m.gguf can't be loaded: it is no model", hint="")

    with pytest.raises(LoadFailed):
        await load_with_less_on_gpus(load, 1.0)
    assert tried == [1.0]


async def test_a_file_that_kills_every_process_fails_in_the_end() -> None:
    async def load(_off: float | None) -> int:
        raise LoadDied("m.gguf can't be loaded: it was killed by SIGSEGV", hint="")

    with pytest.raises(LoadDied):
        await load_with_less_on_gpus(load, 1.0)
