"""Whole answers teach how fast each node is, however it boasts, and how long answers are."""

import math
from collections.abc import Iterable

import pytest

from mesh.core import events
from mesh.core.actions import StartAttempt
from mesh.core.node import Replica
from mesh.core.receipt import Candidate
from mesh.core.types import Capability, ReplicaState, ReplicaStatus, Usage
from tests.mesh.core.script import LLAMA, Script, only, warm

ABSURD_COUNTS = (-1, 0, 2**63, -(2**63))


def replica(script: Script, name: str) -> Replica:
    return script.node(name).replicas[LLAMA.model_id]


def answer(
    script: Script,
    request_id: str,
    *,
    first_token_s: float = 0.5,
    token_s: float = 0.05,
    tokens: int = 41,
    usage: Usage | None = None,
    prompt_bytes: int = 2000,
) -> str:
    """Ask, and let whoever is chosen answer so; return the chosen node's name."""
    start = only(script.ask(request_id, prompt_bytes=prompt_bytes, max_tokens=0), StartAttempt)
    script.accept(start)
    passes(script, first_token_s)
    script.progress(start, 0, 1)
    passes(script, token_s * (tokens - 1))
    script.progress(start, 1, tokens - 1)
    used = usage or Usage(prompt_tokens=prompt_bytes // 4, completion_tokens=tokens)
    _, attempt = script.fleet.requests._books.running[start.attempt_id]
    script.happens(events.AttemptFinished(start.attempt_id, used, None))
    for node in list(script.fleet.directory.nodes.values()):
        script.report(node.name)  # it is alive
    return attempt.candidate.node_name


def passes(script: Script, seconds: float) -> None:
    """Time passes, in which every node reports."""
    until_s = script.now_s + seconds
    while script.now_s < until_s:
        script.now_s = min(until_s, script.now_s + 1.0)
        for node in list(script.fleet.directory.nodes.values()):
            script.report(node.name)


def test_a_node_is_as_fast_as_its_answers_not_as_its_word(script: Script) -> None:
    script.attach("desk", LLAMA, status=warm(prefill=1e7, decode=1e7))
    for i in range(20):
        answer(script, f"r{i}", first_token_s=1.05, token_s=0.05)
    speed = replica(script, "desk").speed
    assert speed.prefill_s == pytest.approx(1.0 / 500, rel=0.3)
    assert speed.decode_s == pytest.approx(0.05, rel=0.3)


def test_a_node_that_claims_to_be_infinitely_fast_gets_a_request_or_two(script: Script) -> None:
    script.attach("liar", LLAMA, status=warm(prefill=1e7, decode=1e7))
    script.attach("honest", LLAMA, status=warm(prefill=5000, decode=100))
    chosen = [
        answer(script, f"l{i}", first_token_s=1.9, token_s=0.5)  # slower, and it would move
        if (named := who_is_next(script)) == "liar"
        else answer(script, f"h{i}", first_token_s=0.11, token_s=0.01)
        for i in range(30)
    ]
    assert named == "honest"
    assert chosen.count("liar") <= 2


def who_is_next(script: Script) -> str:
    """Ask, see who is chosen, and leave again."""
    start = only(script.ask("probe", prompt_bytes=2000, max_tokens=0), StartAttempt)
    _, attempt = script.fleet.requests._books.running[start.attempt_id]
    script.cancel("probe")
    return attempt.candidate.node_name


@pytest.mark.parametrize("absurd", ABSURD_COUNTS)
def test_absurd_counts_of_tokens_shift_no_other_nodes_prediction_by_much(
    script: Script, absurd: int
) -> None:
    lies = Usage(prompt_tokens=absurd, cached_tokens=absurd, completion_tokens=absurd)
    script.attach("honest", LLAMA, status=warm(prefill=500, decode=20))
    for i in range(10):
        answer(script, f"h{i}")
    habits = script.fleet.directory.habits
    before = habits.prompt_tokens(LLAMA.model_id, 4000)
    script.drain("honest")
    script.attach("liar", LLAMA, status=warm(prefill=500, decode=20))
    answer(script, "lie", usage=lies)
    assert habits.prompt_tokens(LLAMA.model_id, 4000) == pytest.approx(before, rel=0.15)
    for each in ("honest", "liar"):
        assert math.isfinite(replica(script, each).ready_s)
        assert replica(script, each).speed.prefill_s > 0


def test_a_node_that_says_it_held_the_prompt_is_charged_with_the_time_all_the_same(
    script: Script,
) -> None:
    script.attach("desk", LLAMA, status=warm(prefill=500, decode=20))
    for i in range(10):
        answer(script, f"r{i}", first_token_s=5, usage=Usage(500, cached_tokens=500))
    assert replica(script, "desk").ready_s > 3


def test_answers_of_a_task_are_expected_to_be_as_long_as_they_were(script: Script) -> None:
    script.attach("desk", LLAMA, status=warm(), capabilities=(Capability.TOOLS,))
    for i in range(10):
        answer(script, f"r{i}", tokens=400)
    candidate = candidate_of(script, "r", needs=())
    with_tools = candidate_of(script, "t", needs=(Capability.TOOLS,))
    output = (candidate.completion_s - candidate.first_token_s) / candidate.decode_s
    assert output == pytest.approx(400, rel=0.1)
    output = (with_tools.completion_s - with_tools.first_token_s) / with_tools.decode_s
    assert output == pytest.approx(128)


def candidate_of(script: Script, request_id: str, needs: Iterable[Capability]) -> Candidate:
    start = only(script.ask(request_id, max_tokens=0, needs=needs), StartAttempt)
    _, attempt = script.fleet.requests._books.running[start.attempt_id]
    script.cancel(request_id)
    return attempt.candidate


def test_what_was_learned_of_a_node_outlives_its_attachment(script: Script) -> None:
    script.attach("desk", LLAMA, status=warm(prefill=1e7, decode=1e7))
    for i in range(5):
        answer(script, f"r{i}", first_token_s=10, token_s=0.5)
    script.lose("desk")
    script.attach("desk", LLAMA, status=warm(prefill=1e7, decode=1e7))
    assert replica(script, "desk").speed.decode_s > 0.1


def test_prompts_that_are_yet_to_be_read_delay_the_next_one(script: Script) -> None:
    script.attach("desk", LLAMA, status=warm(8, prefill=500, decode=20))
    idle_s = replica(script, "desk").ready_s
    start = script.accept(only(script.ask("r1", prompt_bytes=20_000), StartAttempt))
    assert replica(script, "desk").ready_s > idle_s + 5000 / 500 - 0.1
    script.progress(start, 0, 1)
    assert replica(script, "desk").ready_s < idle_s + 1


def test_two_alike_share_a_burst_by_what_they_were_given_and_have_not_reported(
    script: Script,
) -> None:
    for name in ("a", "b"):
        script.attach(name, LLAMA, slots=8)
    chosen = [only(script.ask(f"r{i}"), StartAttempt).connection_id for i in range(8)]
    assert chosen.count(1) == chosen.count(2) == 4


def test_a_node_that_says_it_loads_in_no_time_is_believed_once(script: Script) -> None:
    cold = ReplicaStatus(state=ReplicaState.AVAILABLE, load_s=0.01, prefill_tokens_per_s=500)
    script.attach("liar", LLAMA, status=cold)
    assert replica(script, "liar").speed.load_s < 0.1
    answer(script, "r1", first_token_s=9)
    assert replica(script, "liar").speed.load_s > 1


@pytest.mark.parametrize(("estimated", "learned"), [(False, 1.0), (True, 4.0)])
def test_a_guess_of_a_prompts_tokens_teaches_nothing_of_them(
    script: Script, estimated: bool, learned: float
) -> None:
    script.attach("desk", LLAMA)
    for i in range(10):
        answer(script, f"r{i}", usage=Usage(2000, 0, 41, estimated=estimated))
    tokens = script.fleet.directory.habits.prompt_tokens(LLAMA.model_id, 2000)
    assert 2000 / tokens == pytest.approx(learned)


def test_an_images_tokens_are_none_of_the_texts(script: Script) -> None:
    script.attach("desk", LLAMA, capabilities=(Capability.VISION,))
    start = only(script.ask("r", needs=(Capability.VISION,)), StartAttempt)
    script.accept(start)
    script.progress(start, 0, 1)
    script.happens(events.AttemptFinished(start.attempt_id, Usage(2000, 0, 1), None))
    assert script.fleet.directory.habits.prompt_tokens(LLAMA.model_id, 400) == 100
