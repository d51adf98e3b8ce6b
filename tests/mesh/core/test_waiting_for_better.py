"""A request waits for a quicker machine where that one is soon free, and not for ever."""

from mesh.core.actions import Action, StartAttempt
from tests.mesh.core.script import LLAMA, Script, of_type, only, warm

QUICK = warm(4, prefill=5000, decode=200)
SLOW = warm(8, prefill=5, decode=1)


def a_fast_and_a_slow_one(script: Script) -> list[StartAttempt]:
    """The four slots of the quick one are taken; those of the slow one are free."""
    script.attach("quick", LLAMA, status=QUICK)
    script.attach("slow", LLAMA, status=SLOW)
    starts = [only(script.ask(f"r{i}"), StartAttempt) for i in range(4)]
    assert {start.connection_id for start in starts} == {1}
    for start in starts:
        script.progress(script.accept(start), 0, 1)  # so that none of them moves
    return starts


def started(actions: list[Action]) -> list[tuple[str, int]]:
    return [(each.key.request_id, each.connection_id) for each in of_type(actions, StartAttempt)]


def test_a_quicker_machine_that_is_soon_free_is_waited_for(script: Script) -> None:
    starts = a_fast_and_a_slow_one(script)
    assert script.ask("r4") == []
    start = only(script.finish(starts[0]), StartAttempt)
    assert (start.key.request_id, start.connection_id) == ("r4", 1)


def test_a_slower_machine_is_taken_where_the_wait_is_longer_still(script: Script) -> None:
    script.attach("quick", LLAMA, status=warm(1, 1, prefill=500, decode=10))
    script.attach("slow", LLAMA, status=warm(1, prefill=100, decode=5))
    assert only(script.ask("r1"), StartAttempt).connection_id == 2


def test_a_line_that_is_too_long_sends_the_next_one_to_the_slower_machine(script: Script) -> None:
    a_fast_and_a_slow_one(script)
    asked = [started(script.ask(f"w{i}", within_s=1e6)) for i in range(400)]
    begun = [each for each in asked if each]
    assert begun[0][0][1] == 2
    assert 10 < asked.index(begun[0]) < 400


def test_those_who_waited_for_a_machine_that_went_take_what_there_is(script: Script) -> None:
    a_fast_and_a_slow_one(script)
    script.ask("r4")
    assert ("r4", 2) not in started(script.report("slow"))
    script.drain("quick")
    actions: list[Action] = []
    for _ in range(4):
        for name in ("quick", "slow"):
            script.report(name)
        actions += script.after(1)
    assert started(actions) == [("r4", 2)]


def test_who_waited_far_longer_than_was_predicted_takes_what_there_is(script: Script) -> None:
    a_fast_and_a_slow_one(script)
    script.ask("r4", within_s=600)
    for name in ("quick", "slow"):
        script.report(name)
    actions: list[Action] = []
    for _ in range(8):
        actions += script.after(0.5)
        for name in ("quick", "slow"):
            script.report(name)
    assert started(actions) == [("r4", 2)]


def test_nobody_waits_for_a_machine_that_failed_it(script: Script) -> None:
    """One slot each: the slow one comes free while the quick one, which it must avoid, is taken."""
    script.attach("quick", LLAMA, status=warm(1, prefill=5000, decode=200))
    failing = only(script.ask("r0", within_s=1e4), StartAttempt)
    script.attach("slow", LLAMA, status=warm(1, 1, prefill=5, decode=1))
    script.fail(failing)
    script.ask("r1")
    assert started(script.report("slow", (LLAMA, warm(1, 0, prefill=5, decode=1)))) == [("r0", 2)]
