"""Replicas that somebody else's engine serves: what is promised of them, and what is not."""

from mesh.core import events
from mesh.core.actions import FailRequest, FinishRequest, StartAttempt
from mesh.core.types import (
    Capability,
    Failure,
    FailureCode,
    Load,
    Model,
    ModelIdentity,
    NodeId,
    Offer,
    ReplicaState,
    ReplicaStatus,
    Tier,
)
from tests.mesh.core.script import LLAMA, Script, a_machine, kinds, of_type, only, warm

OLLAMA = "Ollama 0.9.6"
ADOPTED = Model(ModelIdentity("c" * 64, "", "Q4_K_M"), ("llama",), "llama", 0, 0, 4096)


def attach_both(
    script: Script,
    own: ReplicaStatus,
    adopted: ReplicaStatus,
    *,
    own_can: frozenset[Capability] = frozenset(),
    adopted_can: frozenset[Capability] = frozenset(),
    context_tokens: int = 4096,
) -> None:
    """One machine has a model in its library and in Ollama, by one name."""
    script.happens(
        events.NodeAttached(
            connection_id=1,
            node_id=NodeId("desk"),
            machine=a_machine("desk"),
            offers=(
                Offer(LLAMA, context_tokens, own_can),
                Offer(ADOPTED, 4096, adopted_can, OLLAMA),
            ),
            statuses=((LLAMA.model_id, own), (ADOPTED.model_id, adopted)),
            load=Load(),
        )
    )


def test_a_name_finds_both_and_the_warm_one_is_asked() -> None:
    cold = ReplicaStatus(state=ReplicaState.AVAILABLE)
    for own, adopted, chosen in ((cold, warm(), ADOPTED), (warm(), cold, LLAMA)):
        script = Script()
        attach_both(script, own, adopted)
        assert only(script.ask("r"), StartAttempt).model_id == chosen.model_id


COLD = ReplicaStatus(state=ReplicaState.AVAILABLE)
FORMS, GRAMMARS = frozenset({Capability.GRAMMAR}), frozenset({Capability.GRAMMAR, Capability.GBNF})


def test_of_one_name_the_replica_answers_that_can_what_is_asked() -> None:
    for needs, chosen in ((FORMS, ADOPTED), (GRAMMARS, LLAMA)):
        script = Script()
        attach_both(script, COLD, warm(), own_can=GRAMMARS, adopted_can=FORMS)
        assert only(script.ask("r", needs=needs), StartAttempt).model_id == chosen.model_id


def test_one_that_was_taken_for_able_and_is_not_sends_nobody_away() -> None:
    tools, no = frozenset({Capability.TOOLS}), Failure(FailureCode.UNSUPPORTED, "no tools there")
    for own_can, elsewhere in ((tools, True), (frozenset[Capability](), False)):
        script = Script()
        attach_both(script, COLD, warm(), own_can=own_can, adopted_can=tools)
        start = script.accept(only(script.ask("r", needs=tools), StartAttempt))
        assert start.model_id == ADOPTED.model_id
        actions = script.fail(start, no)
        if elsewhere:
            again = only(actions, StartAttempt)
            assert again.model_id == LLAMA.model_id
            actions = script.fail(again, no)
        assert only(actions, FailRequest).failure.code is FailureCode.UNSUPPORTED


def test_a_prompt_too_long_for_one_goes_to_the_other_of_its_name() -> None:
    for context_tokens, elsewhere in ((8192, True), (4096, False)):
        script = Script()
        attach_both(script, COLD, warm(), context_tokens=context_tokens)
        start = script.accept(only(script.ask("r"), StartAttempt))
        actions = script.fail(start, Failure(FailureCode.CONTEXT_OVERFLOW, "some 5,000 tokens"))
        assert [each.model_id for each in of_type(actions, StartAttempt)] == (
            [LLAMA.model_id] if elsewhere else []
        )


def test_of_one_that_does_not_tell_its_size_no_miracles_are_expected() -> None:
    script = Script()
    untold = ReplicaStatus(state=ReplicaState.WARM)
    attach_both(script, warm(decode=100.0, prefill=1000.0), untold)
    assert only(script.ask("r"), StartAttempt).model_id == LLAMA.model_id
    replica = script.node("desk").replicas[ADOPTED.model_id]
    assert 0.1 < replica.speed.decode_s < 1.0


def test_tokens_without_ids_go_on_by_their_count() -> None:
    script = Script()
    script.attach("desk", LLAMA, engine=OLLAMA)
    start = script.begin("r")
    assert kinds(script.progress(start, 0, 2)) == ["SendDelta"]
    assert kinds(script.progress(start, 2, 3)) == ["SendDelta"]
    done = only(script.finish(start, 5), FinishRequest)
    [attempt] = done.receipt.attempts
    assert attempt.tokens_given == 5
    assert attempt.engine == OLLAMA
    assert done.receipt.notes == (f"cannot be continued elsewhere: served by {OLLAMA}",)


def test_one_that_is_lost_mid_answer_is_told_and_never_spliced() -> None:
    script = Script()
    script.attach("desk", LLAMA, engine=OLLAMA)
    start = script.stream("r", 3)
    script.attach("other", LLAMA, capabilities=(Capability.RESUME,))
    actions = script.fail(start)
    assert not any(isinstance(each, StartAttempt) for each in actions)
    failed = only(actions, FailRequest)
    assert failed.failure.code == "answer_lost"
    assert failed.receipt.notes == (f"cannot be continued elsewhere: served by {OLLAMA}",)


def test_before_its_first_token_another_machine_takes_over() -> None:
    script = Script()
    script.attach("desk", LLAMA, engine=OLLAMA)
    start = script.begin("r")
    script.attach("other", LLAMA)
    again = only(script.fail(start), StartAttempt)
    assert again.attempt_id != start.attempt_id


def test_where_an_engine_fails_its_machine_may_answer_by_itself() -> None:
    script = Script()
    attach_both(script, ReplicaStatus(state=ReplicaState.AVAILABLE), warm())
    start = script.accept(only(script.ask("r"), StartAttempt))
    assert start.model_id == ADOPTED.model_id
    again = only(script.fail(start), StartAttempt)
    assert again.model_id == LLAMA.model_id
    assert not of_type(script.fail(again), StartAttempt), "both have failed it"


def test_it_goes_on_with_no_answer_that_a_machine_of_ours_began() -> None:
    script = Script()
    script.attach("desk", LLAMA, capabilities=(Capability.RESUME,))
    start = script.stream("r", 3, resumable=True)
    script.attach("other", LLAMA, engine=OLLAMA)
    starts = of_type(script.fail(start), StartAttempt)
    assert script.node("other").connection_id not in {each.connection_id for each in starts}


def test_nothing_of_tier_device_goes_to_an_engine_on_another_machine() -> None:
    for off_host, refused in ((False, False), (True, True)):
        script = Script()
        how = {"engine": OLLAMA, "off_host": off_host}
        script.attach("desk", LLAMA, slots=2, on_coordinator_host=True, **how)  # type: ignore[arg-type]
        actions = script.ask("r", tier=Tier.DEVICE, from_coordinator_host=True)
        assert any(isinstance(each, FailRequest) for each in actions) is refused
        if refused:
            [told] = only(actions, FailRequest).receipt.ruled_out
            assert told.reason == f"tier device: {OLLAMA} is on another machine"
        assert any(isinstance(each, StartAttempt) for each in script.ask("m")), "of tier mesh"
