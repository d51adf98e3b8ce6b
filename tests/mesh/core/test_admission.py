"""Who waits can be served in time, principals take turns, and a refusal says when to come back."""

from collections.abc import Iterable

import pytest

from mesh.core import events
from mesh.core.actions import Action, FailRequest, StartAttempt
from mesh.core.limits import FleetLimits
from mesh.core.types import FailureCode
from tests.mesh.core.script import LLAMA, Script, of_type, only, warm

ONE_AT_A_TIME = warm(1, 0, prefill=500, decode=10)  # ten seconds for a hundred tokens


def started(actions: Iterable[Action]) -> list[str]:
    return [each.key.request_id for each in of_type(list(actions), StartAttempt)]


def served(script: Script, many: int) -> list[str]:
    """Let the one slot of the desk come free so often; return who got it."""
    order = []
    for _ in range(many):
        [(progress, _)] = script.fleet.requests._books.running.values()
        order += started(script.happens(events.RequestCancelled(progress.request.key, "left")))
    return order


def busy_desk(limits: FleetLimits | None = None) -> Script:
    script = Script(limits or FleetLimits())
    script.attach("desk", LLAMA, status=ONE_AT_A_TIME)
    script.ask("first")
    return script


def test_what_cannot_be_served_in_time_is_refused_at_once_with_a_time_to_come_back() -> None:
    script = busy_desk()
    for i in range(9):
        assert script.ask(f"w{i}", within_s=600) == []
    failure = only(script.ask("late", within_s=20), FailRequest).failure
    assert failure.code is FailureCode.OVERLOADED
    assert 30 < failure.retry_after_s < 120
    assert failure.hint.startswith(f"try again in {failure.retry_after_s:.0f} s")
    assert script.fleet.requests.waiting == 9


def test_what_can_be_served_in_time_is_not_refused_for_a_pessimists_sake() -> None:
    script = busy_desk()
    assert script.ask("soon", within_s=9) == []
    assert script.fleet.requests.waiting == 1


def test_a_full_line_says_when_to_come_back() -> None:
    script = busy_desk(FleetLimits(waiting_max=2))
    for i in range(2):
        script.ask(f"w{i}", within_s=600)
    failure = only(script.ask("more", within_s=600), FailRequest).failure
    assert failure.code is FailureCode.OVERLOADED
    assert 10 < failure.retry_after_s < 60


def test_the_urgent_come_first_among_one_principals() -> None:
    script = busy_desk()
    for name, within_s in (("patient", 600), ("urgent", 25), ("too", 600)):
        script.ask(name, within_s=within_s)
    assert served(script, 3) == ["urgent", "patient", "too"]


def test_principals_take_turns_however_many_each_sends() -> None:
    script = busy_desk()
    for i in range(5):
        script.ask(f"a{i}", within_s=600, principal="ann")
    for i in range(2):
        script.ask(f"b{i}", within_s=600, principal="bob")
    assert served(script, 7) == ["a0", "b0", "a1", "b1", "a2", "a3", "a4"]


def test_who_comes_later_starts_at_the_turn_that_is_being_served() -> None:
    script = busy_desk()
    for i in range(6):
        script.ask(f"a{i}", within_s=600, principal="ann")
    assert served(script, 3) == ["a0", "a1", "a2"]
    for i in range(3):
        script.ask(f"b{i}", within_s=600, principal="bob")
    order = served(script, 6)
    assert sorted(order[:2]) == ["a3", "b0"]
    assert sorted(order[2:4]) == ["a4", "b1"]


def test_one_who_fills_the_line_makes_room_for_others() -> None:
    script = busy_desk(FleetLimits(waiting_max=4))
    for i in range(4):
        script.ask(f"a{i}", within_s=600, principal="ann")
    displaced = only(script.ask("b0", within_s=600, principal="bob"), FailRequest)
    assert displaced.key.request_id == "a3"
    assert displaced.failure.code is FailureCode.OVERLOADED
    assert only(script.ask("a5", within_s=600, principal="ann"), FailRequest).key.request_id == "a5"
    assert script.ask("b1", within_s=600, principal="bob") != []
    assert only(script.ask("b2", within_s=600, principal="bob"), FailRequest).key.request_id == "b2"
    assert script.fleet.requests.waiting == 4


@pytest.mark.parametrize("decode", [1e-3, 1e7])
def test_absurd_rates_of_the_one_machine_give_a_bounded_time_to_come_back(decode: float) -> None:
    script = Script(FleetLimits(waiting_max=0))
    script.attach("desk", LLAMA, status=warm(1, 1, prefill=decode, decode=decode))
    failure = only(script.ask("r1", within_s=1e6), FailRequest).failure
    assert 1 <= failure.retry_after_s <= 300
