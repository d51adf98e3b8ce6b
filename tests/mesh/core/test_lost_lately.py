"""A request without a token yet, whose machines fail in turn: it waits for one that may be back."""

import pytest

from mesh.core.actions import Action, FailRequest, FinishRequest, StartAttempt
from mesh.core.events import CloudOffered
from mesh.core.types import CloudModel, Failure, FailureCode, Tier
from tests.mesh.core.script import LLAMA, QWEN, RESET, Script, kinds, of_type, only

WITHIN_S = 10.0  # ``FleetLimits.goes_on_within_s``


def begun(script: Script, model: str = "llama") -> StartAttempt:
    """A request is accepted on ``desk``; its only other machine was lost a second ago."""
    script.attach("shelf", LLAMA)
    script.lose("shelf")
    script.attach("desk", LLAMA)
    start = script.begin("r1", model)
    script.after(1.0)
    return start


def waits(actions: list[Action]) -> bool:
    return not of_type(actions, FailRequest) and not of_type(actions, StartAttempt)


def failure(actions: list[Action]) -> Failure:
    return only(actions, FailRequest).failure


@pytest.mark.parametrize("model", ["llama", "auto"])
def test_it_waits_for_a_machine_that_was_lost_moments_ago_and_never_had_it(
    script: Script, model: str
) -> None:
    first = begun(script, model)
    assert waits(script.lose("desk", "its connection ended"))
    script.after(2.0)
    second = script.accept(only(script.attach("shelf", LLAMA), StartAttempt))
    assert second.key == first.key
    script.progress(second, 0, 2)
    receipt = only(script.finish(second, 2), FinishRequest).receipt
    assert [each.outcome for each in receipt.attempts] == ["node_lost", "answered"]


def test_it_ends_as_it_would_have_if_that_machine_stays_away(script: Script) -> None:
    begun(script)
    assert waits(script.lose("desk", "its connection ended"))
    assert waits(script.after(WITHIN_S - 1))
    ended = failure(script.after(4.0))
    assert ended.code is FailureCode.NODE_LOST
    assert ended.message == "desk failed: its connection ended"


def test_it_does_not_wait_for_the_machine_that_failed_it(script: Script) -> None:
    script.attach("desk", LLAMA)
    script.begin("r1")
    assert failure(script.lose("desk")).code is FailureCode.NODE_LOST


def test_it_does_not_wait_for_a_machine_that_has_been_away_for_longer(script: Script) -> None:
    script.attach("shelf", LLAMA)
    script.lose("shelf")
    script.after(WITHIN_S + 1)
    script.attach("desk", LLAMA)
    script.begin("r1")
    assert failure(script.lose("desk")).code is FailureCode.NODE_LOST


def test_it_does_not_wait_for_a_machine_without_its_model(script: Script) -> None:
    script.attach("shelf", QWEN)
    script.lose("shelf")
    script.attach("desk", LLAMA)
    script.begin("r1")
    assert failure(script.lose("desk")).code is FailureCode.NODE_LOST


def test_it_does_not_wait_where_the_cloud_may_answer(script: Script) -> None:
    script.happens(CloudOffered((CloudModel("big", "openai"),)))
    script.attach("shelf", LLAMA)
    script.lose("shelf")
    script.attach("desk", LLAMA)
    script.accept(only(script.ask("r1", "auto", tier=Tier.CLOUD), StartAttempt))
    assert "StartCloudAttempt" in kinds(script.lose("desk"))


@pytest.mark.parametrize("code", [FailureCode.INVALID_REQUEST, FailureCode.OVERLOADED])
def test_other_failures_are_told_at_once(script: Script, code: FailureCode) -> None:
    first = begun(script)
    assert failure(script.fail(first, Failure(code, "says the node"))).code is code


def test_what_it_waited_for_is_forgotten_once_it_began_again(script: Script) -> None:
    """Its next machine says that the request is wrong: that is what its client is told."""
    first = begun(script)
    script.fail(first, RESET)
    second = script.accept(only(script.attach("shelf", LLAMA), StartAttempt))
    wrong = Failure(FailureCode.INVALID_REQUEST, "no such grammar")
    assert failure(script.fail(second, wrong)) == wrong


def test_its_deadline_ends_the_wait(script: Script) -> None:
    script.attach("shelf", LLAMA)
    script.lose("shelf")
    script.attach("desk", LLAMA)
    script.accept(only(script.ask("r1", within_s=4.0), StartAttempt))
    assert waits(script.lose("desk"))
    assert failure(script.after(4.0)).code is FailureCode.DEADLINE_EXCEEDED
