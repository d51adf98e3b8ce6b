"""An answer that breaks off is a failure, unless all of it had come."""

import json

import pytest

from mesh.core import events
from mesh.core.types import FailureCode
from tests.coordinator.cloud.asking import Fleet
from tests.coordinator.cloud.misbehaving.conftest import ECHO
from tests.coordinator.cloud.played_upstream import (
    Asked,
    Behaviour,
    PlayedUpstream,
    delta,
)


async def resets_at_once(asked: Asked) -> None:
    asked.reset()


async def resets_after_headers(asked: Asked) -> None:
    await asked.begin()
    asked.reset()


async def resets_mid_answer(asked: Asked) -> None:
    await asked.begin()
    await asked.text("half")
    asked.reset()


async def ends_without_a_word(asked: Asked) -> None:
    await asked.begin()
    await asked.raw(b"0\r\n\r\n")


async def ends_mid_answer(asked: Asked) -> None:
    await asked.begin()
    await asked.text("half")
    await asked.raw(b"0\r\n\r\n")


async def is_done_without_a_reason(asked: Asked) -> None:
    await asked.begin()
    await asked.text("half")
    await asked.done()


async def ends_within_an_event(asked: Asked) -> None:
    await asked.begin()
    await asked.text("half")
    await asked.send(b"data: " + json.dumps(delta({}, "stop")).encode())
    await asked.raw(b"0\r\n\r\n")


async def fails_in_band(asked: Asked) -> None:
    await asked.begin()
    await asked.text("half")
    await asked.event({"error": {"message": ECHO, "code": "server_error"}})
    await asked.done()


CUT = [
    resets_at_once,
    resets_after_headers,
    resets_mid_answer,
    ends_without_a_word,
    ends_mid_answer,
    is_done_without_a_reason,
    ends_within_an_event,
    fails_in_band,
]


@pytest.mark.parametrize("behaviour", CUT)
async def test_a_cut_answer_is_never_a_success(
    fleet: Fleet, upstream: PlayedUpstream, behaviour: Behaviour
) -> None:
    upstream.behave = behaviour
    assert (await fleet.failure()).code is FailureCode.NODE_LOST
    assert len(upstream.asked) == 1, "it may have worked: it is not asked twice"


@pytest.mark.usefixtures("impatient")
async def test_what_breaks_after_the_answer_is_whole_costs_only_its_usage(
    fleet: Fleet, upstream: PlayedUpstream
) -> None:
    async def resets(asked: Asked) -> None:
        await asked.begin()
        await asked.text("whole")
        await asked.event(delta({}, "stop"))
        asked.reset()

    async def hangs(asked: Asked) -> None:
        await asked.begin()
        await asked.text("whole")
        await asked.event(delta({}, "stop"))
        await asked.left()

    for behaviour in (resets, hangs):
        upstream.behave = behaviour
        ended = await fleet.ask()
        assert isinstance(ended, events.AttemptFinished)
        assert ended.usage.estimated
        assert ended.cost_microusd > 0
    assert fleet.text == "whole" * 2
