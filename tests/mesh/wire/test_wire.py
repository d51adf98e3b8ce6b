"""What is written is read back the same, and what is absurd is read with bounds."""

import math
from collections.abc import Iterator
from enum import Enum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.core.asked import Origin
from mesh.core.generation import LOGPROB_MIN, Alternative, Delta, TokenLogprob
from mesh.core.types import (
    BATCHES,
    Accelerator,
    Capability,
    Load,
    Machine,
    Model,
    ModelIdentity,
    Offer,
    PrefixHeld,
    ReplicaState,
    ReplicaStatus,
    Request,
)
from mesh.errors import InvalidRequest
from mesh.v1 import fleet_pb2 as fleet
from mesh.v1 import inference_pb2 as inference
from mesh.wire import enums
from mesh.wire.answers import read_attempt_failed, read_delta, read_event, write_delta
from mesh.wire.generations import read_generation
from mesh.wire.models import read_offers, write_offer
from mesh.wire.nodes import read_load, read_machine, read_statuses, write_machine, write_report
from mesh.wire.origin import read_origin
from mesh.wire.plain import to_plain
from mesh.wire.requests import HOLD_TOKENS_MAX, IMAGE_AS_BYTES, PARTS_MAX, read_request
from mesh.wire.text import printable

NAMES = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=40)
SHA256 = st.text("0123456789abcdef", min_size=64, max_size=64)
MODELS = st.builds(
    Model,
    identity=st.builds(ModelIdentity, SHA256, SHA256 | st.just(""), st.sampled_from(["Q8_0"])),
    names=st.lists(NAMES, min_size=1, max_size=4).map(tuple),
    architecture=st.sampled_from(["llama", "qwen2"]),
    parameters=st.integers(0, 2**40),
    size_bytes=st.integers(0, 2**40),
    context_tokens=st.integers(1, 2**20),
    test=st.booleans(),
    tasks=st.lists(NAMES, max_size=3).map(tuple),
    examples=st.lists(NAMES, max_size=3).map(tuple),
    domains=st.lists(st.sampled_from(["security", "time series"]), max_size=2).map(tuple),
)
OFFERS = st.builds(
    Offer, MODELS, st.integers(1, 2**20), st.frozensets(st.sampled_from(list(Capability)))
)


@given(OFFERS, st.integers(0, 1000))
def test_an_offer_survives_the_wire(offer: Offer, ordinal: int) -> None:
    sent = write_offer(ordinal, offer).SerializeToString()
    assert read_offers([fleet.ModelOffer.FromString(sent)]) == {ordinal: offer}


@pytest.mark.parametrize(
    ("table", "members"),
    [
        (enums.ROLE, None),
        (enums.TIER, None),
        (enums.REPLICA_STATE, None),
        (enums.CAPABILITY, None),
        (enums.REFUSAL, None),
        (enums.NODE_STATE, None),
        (enums.FINISH_REASON, None),
    ],
)
def test_every_enumeration_is_translated_whole(table: dict[int, Enum], members: None) -> None:
    kind = type(next(iter(table.values())))
    assert list(table.values()) == list(kind)
    assert all(enums.read(table, enums.write(table, member), "x") is member for member in kind)


def test_a_report_survives_the_wire() -> None:
    model = Model(ModelIdentity("a" * 64, "", "Q8_0"), ("m",), "llama", 1, 1, 64)
    status = ReplicaStatus(
        ReplicaState.WARM, 2, 1, 100.0, 10.0, 0.5, "why", "n", 0.25,
        prefixes=(PrefixHeld(2**63, 5),), decode_rates_by_batch=(10.0, 0.0, 4.0),
    )  # fmt: skip
    load = Load(0.5, 0.25, 7, on_battery=True, battery=0.5, temperature=0.75, owner_busy=True)
    report = write_report(epoch=1, sequence=2, load=load, statuses=[(5, status)])
    assert read_load(report) == load
    assert read_statuses(report.replicas, {5: Offer(model, 64)}) == ((model.model_id, status),)
    assert read_statuses(report.replicas, {}) == ()


@given(st.floats(width=32), st.floats(width=32))
def test_no_number_of_a_node_gets_in_unbounded(share: float, rate: float) -> None:
    report = fleet.NodeReport(
        cpu_share=share, memory_share=-share, battery_share=share, temperature_share=-share
    )
    report.replicas.append(
        fleet.ReplicaReport(
            ordinal=1,
            state=inference.REPLICA_STATE_WARM,
            slots=2**32 - 1,
            prefill_tokens_per_s=rate,
            decode_tokens_per_s=-rate,
            decode_rates_by_batch=[rate] * 100,
        )
    )
    load = read_load(report)
    assert 0 <= load.cpu <= 1
    assert 0 <= load.memory <= 1
    assert 0 <= load.battery <= 1
    assert 0 <= load.temperature <= 1
    model = Model(ModelIdentity("a" * 64, "", "Q8_0"), ("m",), "llama", 1, 1, 64)
    [(_, status)] = read_statuses(report.replicas, {1: Offer(model, 64)})
    assert status.slots <= 1024
    assert len(status.decode_rates_by_batch) == len(BATCHES)
    measurements = (status.prefill_tokens_per_s, status.decode_tokens_per_s)
    for measured in (*measurements, *status.decode_rates_by_batch):
        assert math.isfinite(measured)
        assert measured >= 0


@pytest.mark.parametrize(
    "view",
    [
        inference.ModelView(names=["m"], sha256="short"),
        inference.ModelView(names=[], sha256="a" * 64),
        inference.ModelView(names=["\x1b[2J"], sha256="a" * 64),
        inference.ModelView(names=["m"] * 17, sha256="a" * 64),
    ],
)
def test_a_model_without_identity_or_name_is_refused(view: inference.ModelView) -> None:
    with pytest.raises(InvalidRequest):
        read_offers([fleet.ModelOffer(ordinal=1, model=view, context_tokens=64)])


def test_a_machine_needs_a_printable_name() -> None:
    with pytest.raises(InvalidRequest, match="printable name"):
        read_machine(fleet.MachineInfo(name="\x1b[31m"))


def test_a_machines_gpus_are_told_both_ways_and_bounded() -> None:
    gpus = (Accelerator("NVIDIA L4", "cuda", 24 << 30, idle=True), Accelerator("Iris Xe", "vulkan"))
    machine = Machine("desk", "Linux x86_64", 8, 1 << 34, "0.1.0", gpus)
    assert read_machine(write_machine(machine)) == machine
    loud = fleet.Accelerator(name="\x1b[31m" + "x" * 999, kind="cuda\n" * 99)
    told = read_machine(fleet.MachineInfo(name="desk", accelerators=[loud] * 99)).accelerators
    assert len(told) == 16
    assert told[0].name.isprintable()
    assert 70 < len(told[0].name) <= 80
    assert 10 < len(told[0].kind) <= 16


def _request(**fields: object) -> inference.GenerateRequest:
    message = inference.Message(role=inference.ROLE_USER, parts=[inference.Part(text="hi")])
    return inference.GenerateRequest(request_id="r", messages=[message], **fields)  # type: ignore[arg-type]


def test_the_shorter_of_two_deadlines_holds() -> None:
    def deadline(deadline_ms: int, remaining_s: float | None) -> float:
        return read_request(
            _request(deadline_ms=deadline_ms),
            principal="p",
            now_s=100.0,
            remaining_s=remaining_s,
            from_coordinator_host=False,
        ).deadline_s

    assert deadline(2000, 5.0) == 102.0
    assert deadline(9000, 5.0) == 105.0
    assert deadline(0, 5.0) == 105.0
    assert deadline(0, None) == 700.0


def test_an_image_is_a_part_of_what_is_to_be_read() -> None:
    text = inference.Part(text="see: ")
    png = inference.Part(image=inference.Image(media_type="image/png", data=bytes(9999)))
    said = inference.Message(role=inference.ROLE_USER, parts=[text, png, png])
    asked = inference.GenerateRequest(request_id="r", messages=[said])
    request = read_request(asked, principal="p", now_s=0.0, from_coordinator_host=False)
    assert request.prompt_bytes == 5 + 2 * IMAGE_AS_BYTES
    assert request.needs == {Capability.VISION}


def test_needs_are_read_from_what_is_asked() -> None:
    request = read_request(
        _request(tools=[inference.Tool(name="t")], logprobs=0),
        principal="p",
        now_s=0.0,
        remaining_s=None,
        from_coordinator_host=False,
    )
    assert request.needs == {Capability.TOOLS, Capability.LOGPROBS}


def _read(**fields: object) -> Request:
    return read_request(_request(**fields), principal="p", now_s=0.0, from_coordinator_host=False)


def test_who_began_a_request_is_read() -> None:
    origin = inference.Origin(
        initiator=inference.Origin.INITIATOR_AGENT, team="blue", task_id="t-1", tags=["a", "b"]
    )
    request = _read(origin=origin, domain="networking", hold_tokens=8, cost_microusd_max=90)
    assert request.origin == Origin("agent", "blue", "t-1", ("a", "b"))
    assert request.assessment.domain == "networking"
    assert (request.hold_tokens, request.cost_microusd_max) == (8, 90)
    assert _read().origin == Origin()


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"origin": inference.Origin(team="x" * 65)}, "origin.team"),
        ({"origin": inference.Origin(task_id="x" * 65)}, "origin.task_id"),
        ({"origin": inference.Origin(tags=["x" * 65])}, "origin.tags"),
        ({"origin": inference.Origin(tags=["x"] * 17)}, "17 tags"),
        ({"domain": "x" * 65}, "domain"),
    ],
)
def test_names_of_an_origin_are_bounded(fields: dict[str, object], named: str) -> None:
    with pytest.raises(InvalidRequest, match=named):
        _read(**fields)


def test_an_initiator_of_a_newer_client_counts_as_untold() -> None:
    origin = inference.Origin.FromString(bytes([8, 99]))
    assert _read(origin=origin).origin.initiator == ""


def test_a_hold_is_bounded() -> None:
    assert _read(hold_tokens=10**9).hold_tokens == HOLD_TOKENS_MAX


def test_a_message_without_a_role_is_named() -> None:
    message = inference.Message(parts=[inference.Part(text="hi")])
    with pytest.raises(InvalidRequest, match=r"messages\[0\]\.role"):
        read_generation(inference.GenerateRequest(request_id="r", messages=[message]))


def test_plain_data_has_every_key_and_numbers_as_numbers() -> None:
    view = inference.ModelView(names=["m"], parameters=2**40)
    view.replicas.append(inference.ReplicaView(state=inference.REPLICA_STATE_WARM))
    plain = to_plain(view)
    assert plain["parameters"] == 2**40
    assert plain["architecture"] == ""
    assert plain["replicas"][0]["state"] == "warm"
    assert plain.keys() == {field.name for field in inference.ModelView.DESCRIPTOR.fields}


def test_millions_of_empty_parts_are_counted_and_not_read() -> None:
    parts = [inference.Part()] * (PARTS_MAX + 1)
    message = inference.Message(role=inference.ROLE_USER, parts=parts)
    with pytest.raises(InvalidRequest, match="parts"):
        read_generation(inference.GenerateRequest(request_id="r", messages=[message]))


def test_what_a_node_says_cannot_move_a_cursor_or_forge_a_line() -> None:
    words = "\x1b]0;owned\x07 bad\n20:00:00 INFO forged \x9b2J"
    failure = read_attempt_failed(fleet.AttemptFailed(code="node_lost", message=words))
    assert failure.message.isprintable()
    view = inference.ModelView(
        names=["m"], sha256="a" * 64, quantisation=words, examples=[words], tasks=[words]
    )
    offers = read_offers([fleet.ModelOffer(ordinal=1, model=view, context_tokens=64)])
    model = offers[1].model
    for text in (model.identity.quantisation, *model.examples, *model.tasks):
        assert text.isprintable()


def test_a_batch_of_tokens_has_a_largest_size() -> None:
    with pytest.raises(InvalidRequest, match="one batch"):
        read_delta(inference.GenerationDelta(text="x" * 100_000), _request())


def test_a_call_may_be_larger_than_a_batch_of_words_and_has_a_largest_size_too() -> None:
    def of(characters: int) -> inference.GenerationDelta:
        text = "x" * characters
        call = inference.ToolCall(id="c1", name="write", arguments_json=f'{{"text":"{text}"}}')
        return inference.GenerationDelta(tool_calls=[call])

    assert read_delta(of(1_000_000), _request()).tool_calls
    with pytest.raises(InvalidRequest, match="1 tool calls of 3000"):
        read_delta(of(3_000_000), _request())


@pytest.mark.parametrize(
    "call",
    [
        inference.ToolCall(id="", name="f", arguments_json="{}"),
        inference.ToolCall(id="c\n1", name="f", arguments_json="{}"),
        inference.ToolCall(id="c1", name="f g", arguments_json="{}"),
        inference.ToolCall(id="c1", name="f", arguments_json=""),
        inference.ToolCall(id="c1", name="f", arguments_json="[]"),
    ],
)
def test_a_node_that_sends_half_a_call_is_not_believed(call: inference.ToolCall) -> None:
    with pytest.raises(InvalidRequest, match="none"):
        read_delta(inference.GenerationDelta(tool_calls=[call]), _request())


@pytest.mark.parametrize("logprobs", [None, 0, 20])
def test_an_engine_is_asked_for_as_many_alternatives_as_the_client_wants(
    logprobs: int | None,
) -> None:
    assert read_generation(_request(logprobs=logprobs)).logprobs == logprobs


def test_more_alternatives_than_openai_allows_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="logprobs is 21; at most 20"):
        read_generation(_request(logprobs=21))


TOLD = st.builds(
    TokenLogprob,
    st.integers(0, 2**31 - 1),
    st.floats(LOGPROB_MIN, 0),
    st.binary(max_size=5),
    st.lists(
        st.builds(
            Alternative,
            st.integers(0, 2**31 - 1),
            st.floats(LOGPROB_MIN, 0),
            st.binary(max_size=5),
        ),
        max_size=20,
    ).map(tuple),
)


@given(st.lists(TOLD, max_size=3).map(tuple))
def test_a_delta_survives_the_wire_with_all_that_is_told_of_its_tokens(
    told: tuple[TokenLogprob, ...],
) -> None:
    event = Delta(7, tuple(each.id for each in told), "text", told)
    sent = inference.GenerateEvent(delta=write_delta(event)).SerializeToString()
    received = inference.GenerateEvent.FromString(sent)
    read_delta(received.delta, _request(logprobs=20 if told else None))
    assert read_event(received) == event


@pytest.mark.parametrize(
    ("form", "needs"),
    [
        (inference.ResponseFormat(text=True), set()),
        (inference.ResponseFormat(json_schema="{}"), {Capability.GRAMMAR}),
        (inference.ResponseFormat(grammar="root ::= []"), {Capability.GRAMMAR, Capability.GBNF}),
    ],
)
def test_a_form_that_every_engine_takes_is_told_from_a_grammar(
    form: inference.ResponseFormat, needs: set[Capability]
) -> None:
    said = inference.Message(role=inference.ROLE_USER, parts=[inference.Part(text="hi")])
    asked = inference.GenerateRequest(request_id="r", messages=[said], response_format=form)
    request = read_request(asked, principal="ann", now_s=0.0, from_coordinator_host=False)
    assert request.needs == needs


class Unread(str):
    """A text of which nobody may look at every character."""

    __slots__ = ()

    def __iter__(self) -> Iterator[str]:
        raise AssertionError("all of it was read")


def test_of_a_text_without_end_only_its_beginning_is_read() -> None:
    assert printable(Unread("well\n" + "x" * 100), 7) == "well xx"


def test_of_reports_on_one_replica_the_last_one_counts() -> None:
    model = Model(ModelIdentity("a" * 64, "", "Q8_0"), ("llama",), "llama", 1, 1, 64)
    offers = {0: Offer(model, 64)}
    told = [
        fleet.ReplicaReport(ordinal=0, state=inference.REPLICA_STATE_WARM, slots=slots)
        for slots in (1, 2, 3)
    ]
    ((_, status),) = read_statuses(told, offers)
    assert status.slots == 3


@pytest.mark.parametrize("field", ["model", "session", "domain"])
def test_words_that_could_move_a_cursor_are_refused(field: str) -> None:
    message = inference.GenerateRequest(request_id="r1")
    setattr(message, field, "a\x1b[2J\u009b31m\nb")
    with pytest.raises(InvalidRequest, match=rf"{field} has characters that can't be printed"):
        read_request(message, principal="ann", now_s=0, from_coordinator_host=True)


def test_words_on_where_a_request_comes_from_are_printable() -> None:
    with pytest.raises(InvalidRequest, match="tags has characters"):
        read_origin(inference.Origin(tags=["well", "a\rb"]))
