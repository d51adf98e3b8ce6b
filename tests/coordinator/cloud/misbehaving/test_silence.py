"""An upstream that says nothing is given up in bounded time, at any point of its answer."""

import asyncio
import socket
from contextlib import ExitStack, suppress

import pytest

from mesh.core import events
from mesh.core.types import FailureCode
from mesh.settings import CloudSettings
from tests.coordinator.cloud.asking import Fleet, adapter
from tests.coordinator.cloud.conftest import IMPATIENT
from tests.coordinator.cloud.played_upstream import (
    Asked,
    Behaviour,
    PlayedUpstream,
    delta,
    hangs_after_a_token,
    hangs_at_once,
)


async def hangs_after_headers(asked: Asked) -> None:
    await asked.begin()
    await asked.left()


async def hangs_after_the_role(asked: Asked) -> None:
    await asked.begin()
    await asked.event(delta({"role": "assistant", "content": ""}))
    await asked.left()


async def says_only_that_it_lives(asked: Asked) -> None:
    await asked.begin()
    with suppress(ConnectionError):
        while not asked.gone.is_set():
            await asked.send(b": PROCESSING\n\n", b"data: {}\n\n", b"data: \n\n")
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    "behaviour",
    [
        hangs_at_once,
        hangs_after_headers,
        hangs_after_the_role,
        hangs_after_a_token,
        says_only_that_it_lives,
    ],
)
@pytest.mark.usefixtures("impatient")
async def test_silence_ends_the_attempt(
    fleet: Fleet, upstream: PlayedUpstream, behaviour: Behaviour
) -> None:
    upstream.behave = behaviour
    failure = await fleet.failure()
    assert failure.code is FailureCode.NODE_LOST
    assert "silent" in failure.message
    await upstream.asked[0].left()
    assert fleet.spent_microusd > 1000, "nobody knows what it did: all that was set aside is spent"


async def test_the_requests_own_time_ends_the_attempt(
    fleet: Fleet, upstream: PlayedUpstream
) -> None:
    upstream.behave = hangs_at_once
    failure = await fleet.failure(remaining_s=0.05)
    assert failure.code is FailureCode.DEADLINE_EXCEEDED


async def test_an_upstream_that_does_not_accept_is_given_up_and_costs_nothing(
    cloud_settings: CloudSettings,
) -> None:
    with ExitStack() as stack:
        full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            caller = stack.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(full.getsockname())
        moved = {"base_url": f"http://127.0.0.1:{full.getsockname()[1]}"}
        async with adapter(cloud_settings.model_copy(update=moved), IMPATIENT) as fleet:
            failure = await fleet.failure()
            assert failure.code is FailureCode.NODE_LOST
            assert "cannot be reached" in failure.message
            assert fleet.spent_microusd == 0


async def test_an_upstream_that_is_not_there_costs_nothing(cloud_settings: CloudSettings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    moved = cloud_settings.model_copy(update={"base_url": f"http://127.0.0.1:{port}"})
    async with adapter(moved, IMPATIENT) as fleet:
        failure = await fleet.failure()
        assert failure.message == "the upstream cannot be reached"
        assert fleet.spent_microusd == 0
        assert not any(isinstance(each, events.AttemptCharged) for each in fleet.heard)
