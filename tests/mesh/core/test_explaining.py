"""Every machine has its reason, in the numbers of the moment at which it was not chosen."""

from mesh.core.actions import FailRequest, FinishRequest, StartAttempt
from mesh.core.explaining import explained, not_weighed
from mesh.core.receipt import Candidate, Receipt
from mesh.core.types import Capability, Load, Policy, Refusal, Request
from tests.mesh.core.script import LLAMA, QWEN, Script, a_model, key, only, warm

LARGE = a_model("large", parameters=7_000_000_000)


def asked(script: Script, request_id: str = "r1", **how: object) -> Receipt:
    """A request that wants to know, and is answered."""
    start = only(script.ask(request_id, explain=True, **how), StartAttempt)  # type: ignore[arg-type]
    return only(script.finish(script.accept(start)), FinishRequest).receipt


def reasons(candidates: tuple[Candidate, ...]) -> dict[str, str]:
    return {each.node_name: each.reason for each in candidates}


def request_of(script: Script, request_id: str = "r1") -> Request:
    under_way = script.fleet.requests.so_far(key(request_id), script.now_s)
    assert under_way is not None
    return under_way[0]


def test_a_slower_machine_is_told_by_how_much_it_lost(script: Script) -> None:
    script.attach("quick", LLAMA, status=warm(1, prefill=1000, decode=50))
    script.attach("slow", LLAMA, status=warm(1, prefill=100, decode=50))
    receipt = asked(script)
    chosen, other = receipt.candidates
    assert (chosen.node_name, chosen.reason) == ("quick", "")
    first, second = (1000 * each.first_token_s for each in (other, chosen))
    assert f"first token in {first / 1000:.3g} s, quick's in {second:.3g} ms" in other.reason
    assert f"cost {other.cost:.3g} against {chosen.cost:.3g}" in other.reason


def test_a_machine_that_only_writes_slower_is_told_by_the_whole_answer(script: Script) -> None:
    script.attach("quick", LLAMA, status=warm(1, prefill=100, decode=50))
    script.attach("slow", LLAMA, status=warm(1, prefill=101.5, decode=20))
    receipt = asked(script)
    assert reasons(receipt.candidates)["slow"].startswith("whole answer in ")


def test_the_draw_among_equals_is_told_as_one(script: Script) -> None:
    for name in ("a", "b"):
        script.attach(name, LLAMA)
    chosen, other = asked(script).candidates
    assert chosen.reason == ""
    assert other.reason.startswith("about as good, and not the one drawn: cost ")


def test_a_machine_that_is_spared_for_its_owner_is_told_as_spared(script: Script) -> None:
    script.attach("desk", LLAMA)
    script.attach("laptop", LLAMA, load=Load(on_battery=True, battery=0.5))
    told = reasons(asked(script).candidates)
    assert told["laptop"].endswith("its battery or its heat makes it count 1.5 times")
    assert told["desk"] == ""


def test_a_machine_without_a_free_slot_is_told_with_its_wait(script: Script) -> None:
    script.attach("desk", LLAMA)
    script.attach("shelf", LLAMA, slots=1, slots_taken=1)
    told = reasons(asked(script).candidates)
    assert told["shelf"].startswith("no free slot: one was expected in ")


def test_who_waits_is_told_why_a_free_machine_was_not_taken(script: Script) -> None:
    script.attach("quick", LLAMA, status=warm(4, prefill=5000, decode=200))
    script.attach("slow", LLAMA, status=warm(4, prefill=5, decode=1))
    for number in range(4):
        script.ask(f"r{number}")
    assert script.ask("waits", explain=True) == []
    under_way = script.fleet.requests.so_far(key("waits"), script.now_s)
    assert under_way is not None
    told = reasons(under_way[1].candidates)
    assert told["quick"].startswith("no free slot: ")
    assert told["slow"].startswith("free, and slower than to wait: first token in ")
    assert "quick's in " in told["slow"]


def test_every_node_is_told_of_exactly_once(script: Script) -> None:
    script.attach("desk", LLAMA)
    script.attach("same", LLAMA)
    script.attach("full", LLAMA, slots_taken=1)
    script.attach("owned", LLAMA, load=Load(owner_busy=True))
    script.attach("asleep", LLAMA)
    script.leave("asleep", asleep=True)
    script.attach("other", QWEN)
    receipt = asked(script)
    told = [each.node_name for each in receipt.candidates]
    told += [each.node_name for each in receipt.ruled_out]
    assert sorted(told) == sorted(node.name for node in script.fleet.directory.nodes.values())
    others = {each.node_name: each.reason for each in receipt.ruled_out}
    assert set(others) == {"owned", "asleep", "other"}
    assert all(others.values())


def test_who_holds_only_a_smaller_model_is_told_which_was_tried_first(script: Script) -> None:
    script.attach("big", LARGE)
    script.attach("little", QWEN)
    receipt = asked(script, model="auto", policy=Policy.BALANCED)
    (other,) = receipt.ruled_out
    assert other.node_name == "little"
    assert other.reason.startswith("has qwen, and others were tried first: the largest model")


def test_those_beyond_a_picks_bound_are_told_as_slower(script: Script) -> None:
    for number in range(32):
        script.attach(f"quick{number}", LLAMA, status=warm(2, prefill=5000, decode=200))
    script.attach("slow", LLAMA, status=warm(2, prefill=5, decode=1))
    start = only(script.ask("r1"), StartAttempt)
    receipt = only(script.finish(script.accept(start)), FinishRequest).receipt
    assert receipt.look is not None
    request = Request(key("r1"), "llama", receipt.tier, receipt.policy, 400, 100, 1e9)
    directory = script.fleet.directory
    (other,) = not_weighed(request, directory, receipt.look, {}, 100, script.now_s)
    assert other.node_name == "slow"
    assert other.reason.startswith("slower than the 32 that were weighed")


def test_a_request_that_did_not_ask_can_be_explained_with_the_numbers_of_then(
    script: Script,
) -> None:
    for number in range(6):
        script.attach(f"n{number}", LLAMA, status=warm(2, prefill=100 + 100 * number, decode=50))
    start = only(script.ask("r1"), StartAttempt)
    assert request_of(script).key == key("r1")
    receipt = only(script.finish(script.accept(start)), FinishRequest).receipt
    assert [each.reason for each in receipt.candidates] == [""] * 4
    assert receipt.look is not None
    then = explained(receipt.look)
    assert then[:1] == (receipt.candidates[0],)
    for number in range(6):  # everything is otherwise now
        script.report(f"n{number}", (LLAMA, warm(2, prefill=1, decode=1)))
    script.leave("n0")
    assert explained(receipt.look) == then
    assert len(then) == 6
    assert all(each.reason for each in then[1:])
    assert all(each.first_token_s < 10 for each in then)


def test_a_machine_that_refused_is_told_with_what_it_said(script: Script) -> None:
    script.attach("desk", LLAMA)
    script.attach("shelf", LLAMA, status=warm(1, prefill=100, decode=5))
    start = only(script.ask("r1", explain=True), StartAttempt)
    moved = only(script.refuse(start, Refusal.NO_MEMORY), StartAttempt)
    receipt = only(script.finish(script.accept(moved)), FinishRequest).receipt
    (other,) = receipt.ruled_out
    assert other.node_name == "desk"
    assert "memory" in other.reason


def test_a_running_request_tells_of_the_attempt_under_way(script: Script) -> None:
    script.attach("desk", LLAMA)
    script.attach("shelf", LLAMA)
    first = script.begin("r1")
    script.now_s += 1
    second = script.accept(only(script.fail(first), StartAttempt))
    script.now_s += 0.25
    script.progress(second, 0, 3)
    under_way = script.fleet.requests.so_far(key("r1"), script.now_s)
    assert under_way is not None
    receipt = under_way[1]
    assert [each.outcome for each in receipt.attempts] == ["node_lost", "running"]
    assert receipt.attempts[-1].usage.completion_tokens == 3
    assert (receipt.first_token_s, receipt.total_s) == (1.25, 1.25)
    script.finish(second)
    assert script.fleet.requests.so_far(key("r1"), script.now_s) is None


def test_who_goes_on_with_an_answer_is_told_of_by_the_models_name(script: Script) -> None:
    script.attach("desk", LLAMA, capabilities=[Capability.RESUME])
    first = script.accept(only(script.ask("r1", explain=True), StartAttempt), resumable=True)
    script.progress(first, 0, 3)
    script.attach("shelf", LLAMA, capabilities=[Capability.RESUME])
    script.attach("attic", LLAMA)
    second = script.accept(only(script.lose("desk"), StartAttempt), resumable=True)
    receipt = only(script.finish(second, tokens=3), FinishRequest).receipt
    assert receipt.why.startswith("llama was asked for; shelf ")
    others = {each.node_name: each.reason for each in receipt.ruled_out}
    assert others["attic"] == "llama cannot do resume (going on with an answer) there"
    assert others["desk"].startswith("lost: ")


def test_a_refusal_that_wanted_to_know_has_every_nodes_reason(script: Script) -> None:
    script.attach("desk", QWEN)
    failed = only(script.ask("r1", explain=True), FailRequest)
    assert failed.receipt.candidates == ()
    assert failed.receipt.look is None
