"""What is held of an answer is bounded, and is nobody else's."""

import pytest

from mesh.core import events
from mesh.core.actions import SendDelta, StartCloudAttempt
from mesh.core.held import HELD_BYTES_MAX, PIECE_BYTES
from mesh.core.types import Tier, Usage
from tests.mesh.core.script import Script, kinds, of_type, only
from tests.mesh.core.test_cascade import BIG, LARGE, SMALL, SURE, a_head, begun, configure, says


@pytest.fixture
def script() -> Script:
    made = Script()
    made.attach("desk", SMALL)
    made.attach("shelf", LARGE)
    configure(made, a_head())
    return made


@pytest.mark.parametrize("size_bytes", [0, 64 * 1024])
def test_a_flood_of_texts_without_tokens_is_not_held_for_ever(
    script: Script, size_bytes: int
) -> None:
    start = begun(script)
    flood = events.AttemptProgressed(start.attempt_id, 0, 0, "text", size_bytes=size_bytes)
    pieces = 0
    while not (actions := script.happens(flood)):
        pieces += 1
        assert pieces * (PIECE_BYTES + size_bytes) <= HELD_BYTES_MAX
    assert kinds(actions) == ["CancelAttempt", "StartAttempt"], "nobody was sure of anything"


def test_the_cloud_goes_on_for_a_machine_that_fails_while_its_answer_is_held(
    script: Script,
) -> None:
    script.lose("shelf")
    script.happens(events.CloudOffered((BIG,)))
    start = begun(script, tier=Tier.CLOUD)
    says(script, start, [SURE] * 2)
    cloud = only(script.lose("desk"), StartCloudAttempt)
    shown = script.happens(events.AttemptStarted(cloud.attempt_id, 100, "", "started"))
    assert kinds(shown) == ["SendStarted"]
    shown = script.happens(events.AttemptProgressed(cloud.attempt_id, 0, 9, "hello"))
    assert [each.payload for each in of_type(shown, SendDelta)] == ["hello"]
    finished = events.AttemptFinished(cloud.attempt_id, Usage(90, 0, 9), "finished", 40, "prices")
    assert kinds(script.happens(finished)) == ["FinishRequest"]
