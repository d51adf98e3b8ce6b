"""A call that breaks or is stopped takes nothing else with it, and holds no money."""

import pytest

from coordinator.cloud.openai import api
from mesh.core import events
from mesh.core.types import FailureCode
from mesh.settings import CloudSettings
from tests.coordinator.cloud.asking import PROMPT, Fleet, a_request, adapter
from tests.coordinator.cloud.played_upstream import (
    PlayedUpstream,
    hangs_after_a_token,
    hangs_at_once,
)


async def test_a_bug_of_ours_costs_the_attempt_alone(
    fleet: Fleet, upstream: PlayedUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> dict[str, object]:
        raise ZeroDivisionError(PROMPT)

    monkeypatch.setattr(api, "written", broken)
    assert (await fleet.failure()).code is FailureCode.INTERNAL_ERROR
    monkeypatch.undo()
    assert await fleet.answer() == "hello"
    assert upstream.connections == 1


async def test_a_call_that_is_stopped_before_it_began_holds_no_money(
    fleet: Fleet, upstream: PlayedUpstream
) -> None:
    fleet.cloud.stop(fleet.start())
    await fleet.idle()
    assert (fleet.spent_microusd, upstream.connections) == (0, 0)
    assert len(fleet.heard) == 1, "the offer, and nothing of the attempt"


async def test_a_call_that_is_stopped_posts_nothing_more(
    fleet: Fleet, upstream: PlayedUpstream
) -> None:
    upstream.behave = hangs_after_a_token
    attempt_id = fleet.start(a_request(max_tokens=1000))
    asked = await upstream.next()
    heard = len(fleet.heard)
    fleet.cloud.stop(attempt_id)
    await asked.left()
    await fleet.idle()
    assert len(fleet.heard) == heard
    assert fleet.spent_microusd > 10_000


async def test_closing_the_adapter_ends_its_calls(
    cloud_settings: CloudSettings, upstream: PlayedUpstream
) -> None:
    upstream.behave = hangs_at_once
    async with adapter(cloud_settings) as fleet:
        fleet.start()
        asked = await upstream.next()
    await asked.left()
    assert fleet.heard[-1] == events.CloudOffered(())
    late = fleet.start()
    ended = fleet.heard[-1]
    assert isinstance(ended, events.AttemptFailed)
    assert ended.attempt_id == late
