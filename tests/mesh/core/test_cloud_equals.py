"""Several models in the cloud that their operator holds equal."""

from collections import Counter

import pytest

from mesh.core import events
from mesh.core.actions import StartCloudAttempt
from mesh.core.outcomes import Source, label
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


def test_what_answers_were_worth_shifts_the_shares() -> None:
    script = Script()
    script.happens(events.CloudOffered((ONE, TWO)))
    for name, score in ((ONE, 0.0), (TWO, 1.0)):
        judged = label(Source.FEEDBACK, name.model_id, "", guess=0.9, score=score)
        script.happens(events.AnswersJudged((judged,) * 100))
    asked = Counter[str]()
    for number in range(200):
        start = only(script.ask(f"r{number}", "auto", tier=Tier.CLOUD), StartCloudAttempt)
        asked[start.model.name] += 1
        script.cancel(f"r{number}")
    assert 0 < asked["one"] < 80, "it had three of four, and keeps a part of that"
