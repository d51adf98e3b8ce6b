"""An engine that hangs while its node beats: the attempt's own clock notices."""

from mesh.core.actions import Action, CancelAttempt, StartAttempt
from mesh.core.types import Capability, ReplicaState, ReplicaStatus
from tests.mesh.core.script import LLAMA, Script, kinds, of_type, only, warm

RESUME = (Capability.RESUME,)


def beat(script: Script, seconds: int, *names: str) -> list[Action]:
    """Let time pass in which the nodes beat, and nothing else happens."""
    actions: list[Action] = []
    for _ in range(seconds):
        script.now_s += 1.0
        for name in names:
            actions += script.report(name)
        actions += script.after(0.0)
    return actions


def test_an_answer_that_stands_still_goes_on_elsewhere(script: Script) -> None:
    script.attach("desk", LLAMA, capabilities=RESUME)
    start = script.stream("r1", 3, resumable=True)
    script.attach("shelf", LLAMA, capabilities=RESUME)
    assert beat(script, 1, "desk", "shelf") == []
    actions = beat(script, 2, "desk", "shelf")
    assert only(actions, CancelAttempt).attempt_id == start.attempt_id
    assert only(actions, StartAttempt).resumed_tokens == 3


def test_a_prompt_that_stands_still_is_asked_elsewhere(script: Script) -> None:
    script.attach("desk", LLAMA)
    script.begin("r1")
    script.attach("shelf", LLAMA)
    actions = beat(script, 3, "desk", "shelf")
    assert kinds(actions) == ["StartAttempt", "CancelAttempt"]  # it was late before it was stuck
    assert only(actions, CancelAttempt).connection_id == 1


def test_slow_is_not_stuck(script: Script) -> None:
    slow = warm(decode=0.5)  # 2 s a token
    script.attach("desk", LLAMA, status=slow, capabilities=RESUME)
    script.stream("r1", 3, resumable=True)
    script.attach("shelf", LLAMA, capabilities=RESUME)
    assert beat(script, 7, "desk", "shelf") == []
    assert kinds(beat(script, 2, "desk", "shelf")) == ["CancelAttempt", "StartAttempt"]


def test_tokens_keep_it_going(script: Script) -> None:
    script.attach("desk", LLAMA, capabilities=RESUME)
    start = script.stream("r1", 3, resumable=True)
    script.attach("shelf", LLAMA, capabilities=RESUME)
    for token in range(3, 23):
        assert beat(script, 1, "desk", "shelf") == []
        script.progress(start, token, 1)


def test_a_load_is_no_standstill(script: Script) -> None:
    script.attach("desk", LLAMA, status=ReplicaStatus(load_s=1.0, prefill_tokens_per_s=500.0))
    start = only(script.ask("r1"), StartAttempt)
    script.open(start)
    script.report("desk", (LLAMA, ReplicaStatus(state=ReplicaState.LOADING)))
    script.attach("shelf", LLAMA, slots_taken=1)
    assert beat(script, 30, "desk", "shelf") == []


def test_without_another_machine_it_may_take_its_time(script: Script) -> None:
    script.attach("desk", LLAMA, capabilities=RESUME)
    start = script.stream("r1", 3, resumable=True)
    assert of_type(beat(script, 50, "desk"), CancelAttempt) == []
    assert kinds(script.progress(start, 3, 1)) == ["SendDelta"]
