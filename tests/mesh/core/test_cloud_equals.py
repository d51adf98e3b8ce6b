"""Several models in the cloud that their operator holds equal."""

from collections import Counter

import pytest

from mesh.core import events
from mesh.core.actions import StartCloudAttempt
from mesh.core.types import CloudModel, Tier
from tests.mesh.core.script import RESET, Script, only

ONE = CloudModel("one", "a.example", equals="pair", share=3.0)
TWO = CloudModel("two", "b.example", equals="pair", share=1.0)


@pytest.mark.parametrize("model", ["auto", "cloud"])
def test_equals_are_asked_by_their_shares(model: str) -> None:
    script = Script()
    script.happens(events.CloudOffered((ONE, TWO)))
    asked = Counter[str]()
    for number in range(200):
        start = only(script.ask(f"r{number}", model, tier=Tier.CLOUD), StartCloudAttempt)
        asked[start.model.name] += 1
        script.cancel(f"r{number}")
    assert 130 <= asked["one"] <= 170
    assert asked["one"] + asked["two"] == 200


def test_the_other_one_of_two_equals_is_asked_where_the_first_fails() -> None:
    script = Script()
    script.happens(events.CloudOffered((ONE, TWO)))
    first = only(script.ask("r1", "auto", tier=Tier.CLOUD), StartCloudAttempt)
    failed = events.AttemptFailed(first.attempt_id, RESET)
    second = only(script.happens(failed), StartCloudAttempt)
    assert {first.model, second.model} == {ONE, TWO}
