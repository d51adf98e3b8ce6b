"""One attempt, from its start to the end of its stream."""

from typing import Any

from mesh.core.types import ReplicaState
from mesh.errors import NodeLost
from mesh.v1 import fleet_pb2 as fleet
from mesh.v1 import inference_pb2 as inference
from mesh.wire.answers import take_signs
from node_agent.answering import SAMPLER_VERSION
from node_agent.engine.echo import EchoEngine
from node_agent.engine.protocol import LoadFailed
from node_agent.shelf import Shelf
from tests.node_agent.conftest import Told
from tests.node_agent.played_engines import Engines, MortalEngine
from tests.node_agent.scripted_coordinator import PlayedAttach, ScriptedCoordinator, asking

MANY_WORDS = " ".join(f"w{number}" for number in range(400))


def kinds(messages: list[fleet.DeliverUp]) -> list[str | None]:
    return [message.WhichOneof("message") for message in messages]


async def test_an_answer_comes_in_order_and_whole(
    attach: PlayedAttach, coordinator: ScriptedCoordinator, engines: Engines
) -> None:
    engines.new = lambda: EchoEngine(first_token_s=0.05, tokens_per_s=50.0)
    request = asking("one two three", sampling=inference.Sampling(seed=2**63))
    await attach.start(7, request=request)
    delivery = await coordinator.delivered()
    assert (delivery.opened.epoch, delivery.opened.attempt_id) == (attach.epoch, 7)
    messages = await delivery.all()
    assert kinds(messages) == ["started", "delta", "delta", "delta", "finished"]
    started, finished = messages[0].started, messages[-1].finished
    assert (started.prompt_tokens, len(started.prompt_ids)) == (3, 3)
    assert (started.seed, started.sampler_version) == (2**63, SAMPLER_VERSION)
    assert started.numerics == "echo"
    assert [message.delta.text for message in messages[1:-1]] == ["one ", "two ", "three "]
    assert [message.delta.token_offset for message in messages[1:-1]] == [0, 1, 2]
    assert finished.reason == inference.FINISH_REASON_STOP
    assert finished.usage.completion_tokens == 3
    await delivery.ended.wait()


async def test_tokens_that_travel_together_keep_a_log_probability_each(
    attach: PlayedAttach, coordinator: ScriptedCoordinator
) -> None:
    await attach.start(7, request=asking(MANY_WORDS, logprobs=1), batch_interval_ms=50)
    messages = await (await coordinator.delivered()).all()
    deltas = [message.delta for message in messages if message.HasField("delta")]
    assert len(deltas) < 400
    for delta in deltas:
        assert [told.id for told in delta.logprobs] == list(delta.ids)
        assert b"".join(told.text for told in delta.logprobs).decode() == delta.text
        assert all(len(told.alternatives) == 1 for told in delta.logprobs)


async def test_a_node_tells_how_sure_its_model_was_where_the_coordinator_asks(
    attach: PlayedAttach, coordinator: ScriptedCoordinator
) -> None:
    for asked in (True, False):
        await attach.start(int(asked), MANY_WORDS, batch_interval_ms=50, signs=asked)
        messages = await (await coordinator.delivered()).all()
        deltas = [message.delta for message in messages if message.HasField("delta")]
        assert len(deltas) < 400
        told = [take_signs(delta) for delta in deltas]
        ids = [len(delta.ids) for delta in deltas]
        assert list(map(len, told)) == (ids if asked else [0] * len(deltas))
        assert {sign.top[0] for signs in told for sign in signs} == ({1.0} if asked else set())


async def test_an_attempt_takes_the_stream_that_stands_by_and_another_one_follows(
    attach: PlayedAttach, coordinator: ScriptedCoordinator
) -> None:
    await coordinator.stream_opened()
    await attach.start(1)
    delivery = await coordinator.delivered()
    assert coordinator.streams_unseen == 0
    await delivery.all()
    await coordinator.stream_opened()


async def test_two_attempts_at_once_have_a_stream_each(
    attach: PlayedAttach, coordinator: ScriptedCoordinator, engines: Engines
) -> None:
    engines.new = lambda: EchoEngine(slots=2)
    await attach.start(1)
    await (await coordinator.delivered()).all()  # it is known by now that there are two slots
    await attach.replica(state=inference.REPLICA_STATE_WARM)
    await attach.start(2)
    await attach.start(3)
    deliveries = [await coordinator.delivered(), await coordinator.delivered()]
    assert {delivery.opened.attempt_id for delivery in deliveries} == {2, 3}
    for delivery in deliveries:
        assert (await delivery.all())[-1].HasField("finished")


async def test_the_first_token_goes_at_once_and_later_ones_together(
    attach: PlayedAttach, coordinator: ScriptedCoordinator, engines: Engines
) -> None:
    engines.new = lambda: EchoEngine(first_token_s=0.05)  # by then the stream is open
    await attach.start(1, "a b c d e f g h", batch_interval_ms=60_000)
    deltas = [m.delta for m in await (await coordinator.delivered()).all() if m.HasField("delta")]
    assert [(delta.token_offset, delta.text) for delta in deltas] == [
        (0, "a "),
        (1, "b c d e f g h "),
    ]
    assert [len(delta.ids) for delta in deltas] == [1, 7]


async def test_what_an_engine_says_while_a_message_is_on_its_way_travels_together(
    attach: PlayedAttach, coordinator: ScriptedCoordinator, engines: Engines
) -> None:
    await attach.start(1, MANY_WORDS, batch_interval_ms=0)
    messages = await (await coordinator.delivered()).all()
    deltas = [message.delta for message in messages if message.HasField("delta")]
    assert "".join(delta.text for delta in deltas).split() == MANY_WORDS.split()
    assert len(deltas) < 400, "no token has waited for another"
    assert kinds(messages)[0] == "started"


async def test_tokens_that_wait_are_sent_when_the_interval_is_over(
    attach: PlayedAttach, coordinator: ScriptedCoordinator, engines: Engines
) -> None:
    engines.new = lambda: EchoEngine(tokens_per_s=500.0)
    await attach.start(1, MANY_WORDS, batch_interval_ms=100)
    delivery = await coordinator.delivered()
    deltas = [m.delta for m in await delivery.all() if m.HasField("delta")]
    assert 0 < len(deltas[0].ids) < 25, "the first token waited for half an interval of others"
    assert 5 <= len(deltas) <= 10  # 0.8 s of tokens, one message each 0.1 s, and the first
    assert [delta.token_offset for delta in deltas] == [
        sum(len(earlier.ids) for earlier in deltas[:index]) for index in range(len(deltas))
    ]


async def test_a_full_batch_does_not_wait(
    attach: PlayedAttach, coordinator: ScriptedCoordinator, engines: Engines
) -> None:
    engines.new = lambda: EchoEngine(tokens_per_s=50.0)
    await attach.start(1, "a b c d e f g", batch_interval_ms=60_000, batch_tokens_max=3)
    deltas = [m.delta for m in await (await coordinator.delivered()).all() if m.HasField("delta")]
    assert [delta.text for delta in deltas] == ["a ", "b c d ", "e f g "]


async def test_ending_the_stream_cancels_the_attempt_and_frees_the_slot(
    attach: PlayedAttach, coordinator: ScriptedCoordinator, engines: Engines
) -> None:
    engines.new = lambda: EchoEngine(tokens_per_s=20.0)
    await attach.start(1, MANY_WORDS)
    delivery = await coordinator.delivered()
    await delivery.next_delta()
    [engine] = engines.made
    assert isinstance(engine, EchoEngine)
    assert engine.busy == 1
    delivery.end()
    await attach.replica(slots_taken=0)
    assert engine.busy == 0
    await attach.start(2)
    assert (await coordinator.delivered()).opened.attempt_id == 2


async def test_a_cancel_on_the_control_stream_ends_an_attempt_that_began(
    attach: PlayedAttach, coordinator: ScriptedCoordinator, engines: Engines
) -> None:
    engines.new = lambda: EchoEngine(tokens_per_s=20.0)
    await attach.start(1, MANY_WORDS)
    delivery = await coordinator.delivered()
    await delivery.next_delta()
    await attach.cancel(1)
    await attach.replica(slots_taken=0)
    [engine] = engines.made
    assert isinstance(engine, EchoEngine)
    assert engine.busy == 0


async def test_an_attempt_that_waits_for_its_model_can_be_cancelled(
    attach: PlayedAttach, coordinator: ScriptedCoordinator, engines: Engines
) -> None:
    engines.gate.clear()
    await attach.start(1)
    (await coordinator.delivered()).end()
    await attach.replica(slots_taken=0)
    engines.gate.set()
    await attach.replica(state=inference.REPLICA_STATE_WARM)  # the load itself goes on


async def test_a_large_request_comes_down_the_stream(
    attach: PlayedAttach, coordinator: ScriptedCoordinator
) -> None:
    prompt = "word " * 50_000
    await attach.start(
        1, request=inference.GenerateRequest(), body_follows=True, batch_tokens_max=1000
    )
    delivery = await coordinator.delivered()
    await delivery.send_body(asking(prompt, max_tokens=2))
    last = (await delivery.all())[-1]
    assert last.failed.code == "context_overflow"  # the echo engine has counted 50,000 words
    await attach.start(2, request=inference.GenerateRequest(), body_follows=True)
    delivery = await coordinator.delivered()
    await delivery.send_body(asking("word " * 5_000, max_tokens=2))
    last = (await delivery.all())[-1]
    assert last.finished.usage.prompt_tokens == 5_000


async def test_an_answer_that_takes_too_long_is_ended(
    attach: PlayedAttach, coordinator: ScriptedCoordinator, engines: Engines
) -> None:
    engines.new = lambda: EchoEngine(first_token_s=60.0)
    await attach.start(1, deadline_ms=100)
    messages = await (await coordinator.delivered()).all()
    assert kinds(messages) == ["started", "failed"]
    assert messages[-1].failed.code == "deadline_exceeded"
    await attach.replica(slots_taken=0)


async def test_a_load_that_takes_too_long_ends_the_attempt(
    attach: PlayedAttach, coordinator: ScriptedCoordinator, engines: Engines
) -> None:
    engines.gate.clear()
    await attach.start(1, deadline_ms=50)
    [failed] = await (await coordinator.delivered()).all()
    assert failed.failed.code == "deadline_exceeded"


async def test_a_bad_request_fails_with_its_reason(
    attach: PlayedAttach, coordinator: ScriptedCoordinator
) -> None:
    cold = asking("x", sampling=inference.Sampling(temperature=-1))
    await attach.start(1, request=cold)
    [failed] = await (await coordinator.delivered()).all()
    assert failed.failed.code == "invalid_request"
    assert "temperature" in failed.failed.message


async def test_a_continuation_goes_on_where_the_answer_was_cut(
    attach: PlayedAttach, coordinator: ScriptedCoordinator
) -> None:
    cut = inference.Resume(prompt_ids=[1], emitted_ids=[4, 5], seed=9)
    asked = asking("one two three four", resume=cut)
    ways: list[dict[str, Any]] = [
        {"resume": cut, "request": asking("one two three four")},
        {"request": asked},
    ]
    for number, fields in enumerate(ways):
        await attach.start(number, **fields)
        started, *deltas, finished = await (await coordinator.delivered()).all()
        assert started.started.seed == 9, "another seed would draw other tokens"
        assert deltas[0].delta.token_offset == 2
        assert "".join(each.delta.text for each in deltas).split() == ["three", "four"]
        assert finished.finished.usage.completion_tokens == 4


async def test_a_continuation_without_its_prompt_is_refused(
    attach: PlayedAttach, coordinator: ScriptedCoordinator
) -> None:
    await attach.start(1, resume=inference.Resume(emitted_ids=[4]))
    [failed] = await (await coordinator.delivered()).all()
    assert failed.failed.code == "invalid_request"
    assert "prompt_ids" in failed.failed.message


async def test_an_unknown_model_fails_where_another_node_may_succeed(
    attach: PlayedAttach, coordinator: ScriptedCoordinator
) -> None:
    await attach.start(1, model_id="never-heard-of")
    [failed] = await (await coordinator.delivered()).all()
    assert failed.failed.code == "node_lost"


async def test_a_model_that_cannot_be_loaded_fails_the_attempts_that_waited(
    attach: PlayedAttach, coordinator: ScriptedCoordinator, engines: Engines
) -> None:
    engines.fails.append(LoadFailed("echo can't be loaded: the file ends early", hint="mend it"))
    await attach.start(1)
    [failed] = await (await coordinator.delivered()).all()
    assert (failed.failed.code, failed.failed.hint) == ("node_lost", "mend it")
    assert "the file ends early" in failed.failed.message
    replica = await attach.replica(state=inference.REPLICA_STATE_FAILED)
    assert "the file ends early" in replica.reason


async def test_an_engine_that_dies_mid_answer_fails_it_and_the_next_request_works(
    attach: PlayedAttach, coordinator: ScriptedCoordinator, engines: Engines
) -> None:
    engines.new = MortalEngine
    await attach.start(1, MANY_WORDS)
    delivery = await coordinator.delivered()
    await delivery.next_delta()
    [engine] = engines.made
    assert isinstance(engine, MortalEngine)
    engine.die()
    last = (await delivery.all())[-1]
    assert last.failed.code == "node_lost"
    await attach.start(2)  # at once: no report has come in between
    messages = await (await coordinator.delivered()).all()
    assert kinds(messages)[-1] == "finished"
    assert engines.loads == 2


async def test_a_bug_in_an_engine_ends_its_attempt_and_tells_no_prompt(
    attach: PlayedAttach,
    coordinator: ScriptedCoordinator,
    engines: Engines,
    told: Told,
) -> None:
    class Buggy(EchoEngine):
        def generate(self, work: object) -> object:  # type: ignore[override]
            raise ValueError(f"cannot work on {work}")

    engines.new = Buggy  # type: ignore[assignment]
    await attach.start(1, "a secret")
    [failed] = await (await coordinator.delivered()).all()
    assert failed.failed.code == "internal_error"
    assert "test_deliver.py" in await told.line("ValueError")
    assert told.of("secret") == []
    assert "secret" not in failed.failed.message


async def test_a_dead_engine_is_known_before_the_next_request(
    shelf: Shelf, engines: Engines
) -> None:
    slot = shelf.take(shelf.offers()[0][1].model.model_id)
    assert not isinstance(slot, str)
    await slot.engine()
    slot.lost("the pipe broke")
    slot.free()
    assert shelf.statuses()[0][1].state is ReplicaState.AVAILABLE
    again = shelf.take(slot.model_id)
    assert not isinstance(again, str | NodeLost)
    await again.engine()
    assert engines.loads == 2
    again.free()
