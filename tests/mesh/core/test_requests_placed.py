"""A request finds its node, or learns why there is none."""

import pytest

from mesh.core.actions import FailRequest, StartAttempt
from mesh.core.limits import FleetLimits
from mesh.core.types import (
    AttemptId,
    Capability,
    Epoch,
    Failure,
    FailureCode,
    Load,
    Model,
    Policy,
    Tier,
)
from tests.mesh.core.script import LLAMA, QWEN, Script, a_model, key, kinds, only

SMALL = a_model("small", parameters=100)
LARGE = a_model("large", parameters=1_000_000_000)
BENCH = a_model("test-tiny", parameters=10, test=True)


def test_a_request_goes_to_the_only_node_that_has_its_model(script: Script) -> None:
    script.attach("desk", QWEN)
    script.attach("shelf", LLAMA)
    assert script.ask("r1", "llama", within_s=60) == [
        StartAttempt(
            attempt_id=AttemptId(1),
            connection_id=2,
            epoch=Epoch(2),
            key=key("r1"),
            model_id=LLAMA.model_id,
            remaining_s=60,
        )
    ]


@pytest.mark.parametrize("name", ["llama", "LLaMA", "meta-llama", LLAMA.model_id])
def test_a_model_is_found_by_any_of_its_names_in_any_case_and_by_its_identity(
    script: Script, name: str
) -> None:
    script.attach("desk", a_model("llama", "Meta-Llama"), QWEN)
    assert only(script.ask("r1", name), StartAttempt).model_id == LLAMA.model_id


def test_an_unknown_name_is_refused_with_the_nearest_one(script: Script) -> None:
    script.attach("desk", LLAMA, QWEN)
    failure = only(script.ask("r1", "lama"), FailRequest).failure
    assert failure.code is FailureCode.MODEL_NOT_FOUND
    assert (failure.message, failure.hint) == (
        "no machine has a model named 'lama'",
        "did you mean llama?",
    )


def test_an_unknown_name_like_no_other_is_refused_with_what_there_is(script: Script) -> None:
    script.attach("desk", LLAMA, QWEN)
    assert only(script.ask("r1", "zzz"), FailRequest).failure.hint == (
        "there is llama, qwen; see `deskmesh models list`"
    )


def test_an_unknown_name_on_nodes_without_models_is_told_where_to_put_one(script: Script) -> None:
    script.attach("desk")
    failure = only(script.ask("r1", "llama"), FailRequest).failure
    assert failure.code is FailureCode.MODEL_NOT_FOUND
    assert failure.hint.startswith("put a GGUF file into a model folder")


def test_a_very_long_name_is_cut_short(script: Script) -> None:
    script.attach("desk", LLAMA)
    message = only(script.ask("r1", "x" * 100_000), FailRequest).failure.message
    assert len(message) < 200


@pytest.mark.parametrize("model", ["llama", "auto", ""])
def test_a_mesh_without_nodes_says_so_whatever_is_asked(script: Script, model: str) -> None:
    failure = only(script.ask("r1", model), FailRequest).failure
    assert failure.code is FailureCode.NO_CAPABLE_NODE
    assert failure.message == "no machine is attached to this mesh"


def test_auto_on_nodes_without_models_says_which_have_none(script: Script) -> None:
    script.attach("desk")
    failed = only(script.ask("r1", "auto"), FailRequest)
    assert failed.failure.message == "no machine can serve this request (desk: has no models)"


def test_a_refusal_tells_each_nodes_reason(script: Script) -> None:
    script.attach("asleep", LLAMA)
    script.leave("asleep", asleep=True)
    script.attach("owned", LLAMA, load=Load(owner_busy=True))
    script.attach("small", LLAMA, context_tokens=16)
    script.attach("other", QWEN)
    script.attach("empty")
    script.attach("reading", load=Load(files_unread=3))
    failed = only(script.ask("r1", prompt_bytes=4000), FailRequest)
    assert {each.node_name: each.reason for each in failed.receipt.ruled_out} == {
        "asleep": "asleep: went to sleep 0 s ago, and is expected back",
        "owned": "its owner is using it",
        "small": "the prompt is far longer than its context of 16",
        "other": "has qwen only",
        "empty": "has no models",
        "reading": "has no models yet: 3 model files are being read",
    }
    assert failed.failure.code is FailureCode.NO_CAPABLE_NODE
    assert failed.failure.message.endswith("and 3 more)")


def test_a_prompt_that_fits_nowhere_is_told_as_the_prompts_fault(script: Script) -> None:
    script.attach("small", LLAMA, context_tokens=16)
    script.attach("other", QWEN)
    failed = only(script.ask("r1", prompt_bytes=4000), FailRequest)
    assert failed.failure.code is FailureCode.CONTEXT_OVERFLOW
    assert "small: the prompt is far longer than its context of 16" in failed.failure.message
    script.attach("large", LLAMA, context_tokens=4096)
    script.leave("large", asleep=True)  # but it may come back
    failed = only(script.ask("r2", prompt_bytes=4000), FailRequest)
    assert failed.failure.code is FailureCode.NO_CAPABLE_NODE


def test_a_context_that_might_just_do_is_left_to_the_node_to_judge(script: Script) -> None:
    """4,000 bytes may be 500 tokens or 1,000: only the node counts them."""
    script.attach("desk", LLAMA, context_tokens=500)
    assert kinds(script.ask("r1", prompt_bytes=4000)) == ["StartAttempt"]


def test_a_capability_that_a_node_lacks_rules_it_out(script: Script) -> None:
    needs = (Capability.TOOLS, Capability.GRAMMAR)
    script.attach("plain", LLAMA, capabilities=(Capability.GRAMMAR,))
    refused = only(script.ask("r1", needs=needs), FailRequest).failure
    assert "plain: llama cannot do tools there" in refused.message
    script.attach("able", LLAMA, capabilities=needs)
    assert only(script.ask("r2", needs=needs), StartAttempt).connection_id == 2


def test_no_chat_goes_to_a_model_that_only_embeds(script: Script) -> None:
    script.attach("desk", LLAMA, capabilities=(Capability.EMBED,))
    refused = only(script.ask("r1", model="llama"), FailRequest).failure
    assert refused.code is FailureCode.NO_CAPABLE_NODE
    assert "desk: llama turns text into vectors, and writes none" in refused.message
    assert kinds(script.ask("r2", model="auto")) == ["FailRequest"]
    script.attach("shelf", QWEN)
    assert only(script.ask("r3", model="auto"), StartAttempt).connection_id == 2


def test_what_is_to_be_embedded_goes_to_a_model_that_embeds(script: Script) -> None:
    script.attach("desk", LLAMA)
    script.attach("shelf", LLAMA, capabilities=(Capability.EMBED,))
    started = only(script.ask("r1", model="llama", needs=(Capability.EMBED,)), StartAttempt)
    assert started.connection_id == 2


@pytest.mark.parametrize(
    ("client_here", "node_here", "served"),
    [(True, True, True), (True, False, False), (False, True, False), (False, False, False)],
)
def test_a_device_prompt_stays_on_the_coordinators_own_host(
    script: Script, client_here: bool, node_here: bool, served: bool
) -> None:
    script.attach("desk", LLAMA, on_coordinator_host=node_here)
    actions = script.ask("r1", tier=Tier.DEVICE, from_coordinator_host=client_here)
    assert kinds(actions) == (["StartAttempt"] if served else ["FailRequest"])


def test_a_device_prompt_is_refused_in_words(script: Script) -> None:
    script.attach("desk", LLAMA)
    message = only(script.ask("r1", tier=Tier.DEVICE), FailRequest).failure.message
    assert "desk: tier device: the prompt may not leave the machine it was typed on" in message


def test_a_device_prompt_never_falls_over_to_another_host(script: Script) -> None:
    script.attach("here", LLAMA, on_coordinator_host=True)
    script.attach("there", LLAMA)
    start = only(script.ask("r1", tier=Tier.DEVICE, from_coordinator_host=True), StartAttempt)
    assert kinds(script.fail(start)) == ["FailRequest"]


@pytest.mark.parametrize(
    ("policy", "chosen"),
    [
        (Policy.FRUGAL, SMALL),
        (Policy.BALANCED, LARGE),
        (Policy.BEST, LARGE),
        (Policy.PRIVATE, LARGE),
    ],
)
def test_auto_follows_the_policy(script: Script, policy: Policy, chosen: Model) -> None:
    script.attach("desk", SMALL, LARGE)
    start = only(script.ask("r1", "auto", policy=policy), StartAttempt)
    assert start.model_id == chosen.model_id


def test_auto_takes_the_next_model_while_the_first_one_is_busy(script: Script) -> None:
    script.attach("desk", SMALL, LARGE)
    script.ask("r1", "large")
    assert only(script.ask("r2", "auto"), StartAttempt).model_id == SMALL.model_id


def test_auto_never_picks_a_test_model_while_a_real_one_is_there(script: Script) -> None:
    script.attach("desk", BENCH)
    assert only(script.ask("r1", "auto"), StartAttempt).model_id == BENCH.model_id
    script.attach("shelf", SMALL)
    assert only(script.ask("r2", "auto"), StartAttempt).model_id == SMALL.model_id
    assert script.ask("r3", "auto") == []  # it waits for the real one, though both are busy
    script.attach("attic", BENCH)
    assert script.fleet.requests.waiting == 1


def test_auto_takes_a_test_model_again_once_the_last_real_one_is_forgotten() -> None:
    script = Script(FleetLimits(forget_after_s=60))
    script.attach("shelf", SMALL)
    script.leave("shelf")
    script.after(60)
    script.attach("desk", BENCH)
    assert only(script.ask("r1", "auto"), StartAttempt).model_id == BENCH.model_id


def test_an_alias_of_several_identities_may_be_served_by_each_of_them(script: Script) -> None:
    small, large = a_model("chat", digit="1"), a_model("chat", digit="2")
    assert small.model_id != large.model_id
    script.attach("desk", small)
    script.attach("shelf", large)
    starts = [only(script.ask(f"r{i}", "chat"), StartAttempt) for i in range(2)]
    assert {start.model_id for start in starts} == {small.model_id, large.model_id}
    assert script.ask("r3", large.model_id) == []  # its identity is asked for, never another


def test_a_name_is_gone_with_the_last_node_that_calls_a_model_so(script: Script) -> None:
    script.attach("desk", a_model("llama", "my-pet"))
    script.attach("shelf", LLAMA)
    assert kinds(script.ask("r1", "my-pet")) == ["StartAttempt"]
    script.attach("desk", LLAMA)
    failure = only(script.ask("r2", "my-pet"), FailRequest).failure
    assert failure.code is FailureCode.MODEL_NOT_FOUND


def test_a_model_without_a_name_goes_by_its_identity(script: Script) -> None:
    nameless = a_model("llama")
    object.__setattr__(nameless, "names", ())
    script.attach("desk", nameless)
    assert kinds(script.ask("r1", "auto")) == ["StartAttempt"]


def test_a_prompt_too_long_for_one_machine_goes_to_one_with_a_longer_context(
    script: Script,
) -> None:
    overflow = Failure(FailureCode.CONTEXT_OVERFLOW, "700 tokens do not fit 512", "say less")
    script.attach("small", LLAMA, context_tokens=512)
    first = only(script.ask("r1", prompt_bytes=1500), StartAttempt)
    script.attach("as small", LLAMA, context_tokens=512)
    script.attach("large", LLAMA, context_tokens=4096)
    second = only(script.fail(first, overflow), StartAttempt)
    assert second.connection_id == 3
    failed = only(script.fail(second, overflow), FailRequest)
    assert failed.failure.code is FailureCode.CONTEXT_OVERFLOW


def test_a_prompt_that_is_too_long_for_all_is_tried_once(script: Script) -> None:
    overflow = Failure(FailureCode.CONTEXT_OVERFLOW, "700 tokens do not fit 512", "say less")
    script.attach("small", LLAMA, context_tokens=512)
    first = only(script.ask("r1", prompt_bytes=1500), StartAttempt)
    script.attach("as small", LLAMA, context_tokens=512)
    failed = only(script.fail(first, overflow), FailRequest)
    assert failed.failure.message == "700 tokens do not fit 512"
