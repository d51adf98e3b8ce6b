"""Messages come out as they went in, and a field that is not what it should be is refused."""

import base64
import json
from array import array
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.core.chat import Form, FormKind, Message, Role, Tool, ToolCall, ToolChoice, ToolMode
from mesh.core.embedding import VECTOR_TYPE, Vector
from mesh.core.generation import (
    LOGPROB_MIN,
    Alternative,
    Delta,
    Finished,
    Generation,
    Resume,
    Sampling,
    Started,
    TokenLogprob,
)
from mesh.core.signs import CANDIDATES, TokenSign
from mesh.core.types import PREFIXES_MAX, Capability, FinishReason, PrefixHeld, Usage
from mesh.errors import (
    ContextOverflow,
    InternalError,
    InvalidRequest,
    NodeLost,
    Overloaded,
    Unsupported,
)
from node_agent.engine.codec import decode_from_engine, decode_to_engine, encode
from node_agent.engine.frames import FrameError
from node_agent.engine.messages import (
    Cancel,
    Cancelled,
    Complaint,
    CountTokens,
    Embed,
    Embedded,
    EmbeddingEnded,
    Failed,
    FromEngine,
    Generate,
    Loaded,
    Loading,
    LoadRefused,
    Prefixes,
    Produced,
    Save,
    Saved,
    ToEngine,
    TokensCounted,
)
from node_agent.engine.vector_fields import WIDTH_MAX


def vector(values: Sequence[float]) -> Vector:
    return array(VECTOR_TYPE, values)


counts = st.integers(min_value=0, max_value=2**31 - 1)
sizes = st.floats(min_value=0, max_value=1e6)
text = st.text(st.characters(exclude_categories=["Cs"]))
ids = st.lists(counts, max_size=5).map(tuple)
lines = st.sampled_from(["", "tensor 'a.b' is not there", "größer als möglich"])
sampling = st.builds(
    Sampling,
    temperature=sizes,
    top_k=counts,
    top_p=sizes,
    min_p=sizes,
    repeat_penalty=sizes,
    presence_penalty=st.floats(min_value=-2, max_value=2),
    frequency_penalty=st.floats(min_value=-2, max_value=2),
    seed=st.integers(min_value=0, max_value=2**64 - 1),
    logit_bias=st.lists(st.tuples(counts, st.floats(-100, 100)), max_size=3).map(tuple),
)
calls = st.lists(st.builds(ToolCall, text, text, text), max_size=2).map(tuple)
messages = st.lists(
    st.builds(Message, st.sampled_from(Role), text, calls, text, text), max_size=3
).map(tuple)
work = st.builds(
    Generation,
    messages,
    sampling,
    counts,
    st.lists(text, max_size=3).map(tuple),
    st.none() | st.integers(min_value=0, max_value=20),
    st.lists(st.builds(Tool, text, text, text), max_size=2).map(tuple),
    st.builds(ToolChoice, st.sampled_from(ToolMode), text),
    st.none() | st.builds(Form, st.sampled_from(FormKind), text),
    st.none() | st.builds(Resume, ids, ids, counts),
    st.lists(st.integers(min_value=0, max_value=2**64 - 1), max_size=3).map(tuple),
    st.booleans(),
)
nats = st.floats(min_value=LOGPROB_MIN, max_value=0)
pieces = st.binary(max_size=4)
alternatives = st.lists(st.builds(Alternative, counts, nats, pieces), max_size=3).map(tuple)
logprobs = st.lists(st.builds(TokenLogprob, counts, nats, pieces, alternatives), max_size=3)
to_engine = (
    st.builds(Generate, counts, work)
    | st.builds(CountTokens, counts, work)
    | st.builds(Embed, counts, st.lists(text, max_size=3).map(tuple))
    | st.builds(Cancel, counts)
    | st.just(Save())
)
surely = st.builds(TokenSign, st.just((0.5, 0.25, 0.25, 0.0)), st.integers(0, CANDIDATES))
told_surely = st.lists(st.tuples(counts, surely), min_size=1, max_size=3).map(
    lambda told: Delta(0, tuple(i for i, _ in told), "", signs=tuple(sign for _, sign in told))
)
vectors = st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1)
events = (
    st.builds(Started, ids, counts, counts, lines)
    | st.builds(Delta, counts, ids, text, logprobs.map(tuple), text, calls)
    | told_surely
    | st.builds(
        Finished,
        st.sampled_from(FinishReason),
        st.builds(Usage, counts, counts, counts, counts),
        sizes,
        sizes,
    )
)
held = st.builds(PrefixHeld, st.integers(min_value=0, max_value=2**64 - 1), counts)
capabilities = st.frozensets(st.sampled_from(Capability))
from_engine = (
    st.builds(Produced, counts, events)
    | st.builds(Loaded, counts, counts, capabilities, lines)
    | st.builds(LoadRefused, lines, lines)
    | st.builds(TokensCounted, counts, counts)
    | st.builds(Embedded, counts, st.lists(vectors.map(vector), max_size=3).map(tuple))
    | st.builds(EmbeddingEnded, counts, counts)
    | st.builds(Cancelled, counts)
    | st.lists(held, max_size=PREFIXES_MAX).map(tuple).map(Prefixes)
    | st.just(Saved())
    | st.builds(Complaint, lines)
)


def on_the_wire(message: ToEngine | FromEngine) -> dict[str, object]:
    body: dict[str, object] = json.loads(json.dumps(encode(message)))
    return body


@given(to_engine)
def test_the_engine_reads_what_the_agent_wrote(message: ToEngine) -> None:
    assert decode_to_engine(on_the_wire(message)) == message


@given(from_engine)
def test_the_agent_reads_what_the_engine_wrote(message: FromEngine) -> None:
    assert decode_from_engine(on_the_wire(message)) == message


@pytest.mark.parametrize(
    "kind", [InvalidRequest, ContextOverflow, Unsupported, NodeLost, InternalError]
)
def test_an_error_keeps_its_kind_and_words(kind: type[NodeLost]) -> None:
    received = decode_from_engine(on_the_wire(Failed(7, kind("too long", hint="cut it"))))
    assert isinstance(received, Failed)
    assert type(received.error) is kind
    assert str(received.error) == "too long; cut it"


def test_an_error_that_an_engine_may_not_raise_counts_as_a_bug() -> None:
    received = decode_from_engine(on_the_wire(Failed(7, Overloaded("I am the coordinator"))))
    assert isinstance(received, Failed)
    assert type(received.error) is InternalError


def test_words_from_an_engine_are_one_short_printable_line() -> None:
    reason = "bad\n\n\x1b[31mfile\x00 " + "x" * 100_000
    received = decode_from_engine({"type": "load_refused", "reason": reason, "hint": ""})
    assert isinstance(received, LoadRefused)
    assert received.reason.startswith("bad [31mfile xxx")
    assert received.reason.isprintable()
    assert len(received.reason) == 500


VALID: list[FromEngine | ToEngine] = [
    Produced(1, Started((1, 2), 0, 512, "f")),
    Produced(1, Delta(0, (1,), "a")),
    Produced(1, Finished(FinishReason.STOP, Usage(2, 0, 1), 0.1, 0.2)),
    Loading(0.5),
    Loaded(512, 1, frozenset(), "f", 33, 1.25),
    LoadRefused("no", ""),
    Cancelled(1),
    Prefixes((PrefixHeld(2**64 - 1, 7),)),
    TokensCounted(1, 7),
    Embedded(1, (vector([0.6, -0.8]),)),
    EmbeddingEnded(1, 7),
    Failed(1, NodeLost("gone")),
    Generate(1, Generation((Message(Role.USER, "a"),), Sampling(), 1)),
    CountTokens(1, Generation((Message(Role.USER, "a"),), Sampling(), 1)),
    Embed(1, ("a",)),
    Cancel(1),
    Save(),
    Saved(),
    Complaint("no"),
]
HOSTILE: list[object] = [None, True, -1, 2**70, 1.5, "x" * 10, [], [None], [-1], [True], {}]


@pytest.mark.parametrize("message", VALID, ids=lambda message: type(message).__name__)
def test_every_field_is_checked(message: FromEngine | ToEngine) -> None:
    decode = decode_to_engine if isinstance(message, ToEngine) else decode_from_engine
    body = on_the_wire(message)
    for field in body:
        with pytest.raises(FrameError, match=r"field|known type"):
            decode({name: value for name, value in body.items() if name != field})
        for value in HOSTILE:
            if type(value) is not type(body[field]):
                with pytest.raises(FrameError, match=r"field|known type"):
                    decode({**body, field: value})
    with pytest.raises(FrameError):
        decode({**body, "type": "surprise"})


@pytest.mark.parametrize("hostile", [-1, True, 1.0, "1", 2**31, None, [1]])
def test_an_id_that_is_no_31_bit_number_is_refused(hostile: object) -> None:
    with pytest.raises(FrameError):
        decode_from_engine({**on_the_wire(Produced(1, Delta(0, (1,), "a"))), "ids": [hostile]})


@pytest.mark.parametrize(
    "body",
    [
        {"hashes": [1] * (PREFIXES_MAX + 1), "tokens": [1] * (PREFIXES_MAX + 1)},
        {"hashes": [1, 2], "tokens": [1]},
        {"hashes": [2**64], "tokens": [1]},
        {"hashes": [1], "tokens": [-1]},
    ],
)
def test_prefixes_that_are_none_are_refused(body: dict[str, object]) -> None:
    with pytest.raises(FrameError):
        decode_from_engine({"type": "prefixes", **body})


@pytest.mark.parametrize("signs", ["80", "80000000000000000x", "8001" + "00" * 7, "00" * 18])
def test_signs_that_are_none_are_refused(signs: str) -> None:
    body = on_the_wire(Produced(1, Delta(0, (1,), "a", signs=(TokenSign((1.0,)),))))
    decode_from_engine(body)
    with pytest.raises(FrameError, match="signs"):
        decode_from_engine({**body, "signs": signs})


TOLD = {"id": 1, "logprob": -0.5, "text": "\xc3", "alternatives": []}
ALTERNATIVE = {"id": 2, "logprob": -0.7, "text": "b"}


@pytest.mark.parametrize(
    "changes",
    [
        {"id": -1},
        {"logprob": 0.1},
        {"logprob": LOGPROB_MIN - 1},
        {"logprob": float("nan")},
        {"logprob": float("-inf")},
        {"logprob": "0"},
        {"text": "€"},
        {"text": "x" * 1025},
        {"text": [195]},
        {"alternatives": None},
        {"alternatives": [ALTERNATIVE] * 21},
        {"alternatives": [ALTERNATIVE, 1]},
        {"alternatives": [{**ALTERNATIVE, "logprob": 1e-9}]},
        {"alternatives": [{"id": 2}]},
    ],
)
def test_a_log_probability_that_is_none_is_refused(changes: dict[str, object]) -> None:
    body = on_the_wire(Produced(1, Delta(0, (1,), "a")))
    assert decode_from_engine({**body, "logprobs": [TOLD]}) == Produced(
        1, Delta(0, (1,), "a", (TokenLogprob(1, -0.5, b"\xc3", ()),))
    )
    with pytest.raises(FrameError):
        decode_from_engine({**body, "logprobs": [{**TOLD, **changes}]})


@pytest.mark.parametrize("logprobs", [21, -1, True, 1.0, "5"])
def test_no_engine_is_asked_for_an_absurd_number_of_alternatives(logprobs: object) -> None:
    body = on_the_wire(Generate(1, Generation((Message(Role.USER, "a"),), Sampling(), 1)))
    work = body["work"]
    assert isinstance(work, dict)
    with pytest.raises(FrameError):
        decode_to_engine({**body, "work": {**work, "logprobs": logprobs}})
    del work["logprobs"]
    with pytest.raises(FrameError):
        decode_to_engine(body)


@pytest.mark.parametrize(
    "hostile",
    [
        *("", "AAAA", "AAAAAA", "?AAA=", "é", [0.5], 1, None),
        base64.b64encode(array(VECTOR_TYPE, [1, float("nan")]).tobytes()).decode(),
        base64.b64encode(array(VECTOR_TYPE, [float("-inf")]).tobytes()).decode(),
        base64.b64encode(bytes(4 * WIDTH_MAX + 4)).decode(),
    ],
)
def test_a_vector_that_is_none_is_refused(hostile: object) -> None:
    widest = vector([1.0] * WIDTH_MAX)
    body = on_the_wire(Embedded(1, (widest,)))
    assert decode_from_engine(body) == Embedded(1, (widest,))
    with pytest.raises(FrameError):
        decode_from_engine({**body, "vectors": [hostile]})
