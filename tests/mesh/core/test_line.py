"""The line keeps the order of arrival, within a model's and across several."""

from collections.abc import Iterable
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.core.asked import Assessment, Origin
from mesh.core.line import Line, kind_of
from mesh.core.types import Capability, ModelId, Plan, Policy, Request, RequestKey, Tier
from tests.mesh.core.script import key


def asked(number: int, model: str) -> Request:
    return Request(key(str(number)), model, Tier.MESH, Policy.FAST, number, number, float(number))


def names(keys: Iterable[RequestKey]) -> list[int]:
    return [int(each.request_id) for each in keys]


@given(
    st.lists(st.tuples(st.integers(0, 30), st.sampled_from("abc")), unique_by=lambda each: each[0]),
    st.sets(st.integers(0, 30)),
)
def test_those_who_wait_come_out_in_order_of_arrival(
    joining: list[tuple[int, str]], leaving: set[int]
) -> None:
    line = Line()
    for number, model in joining:
        line.join(asked(number, model), number, float(number))
    for number in leaving:
        line.leave(key(str(number)))
    left = [(number, model) for number, model in joining if number not in leaving]
    for wanted in ("", "a", "bc", "abc"):
        kinds = [kind for kind in line.kinds() if kind.model in wanted]
        expected = sorted(number for number, model in left if model in wanted)
        assert names(line.waiting_for(kinds)) == expected
    assert len(line) == len(left) == len(line.all())
    assert sorted(kind.model for kind in line.kinds()) == sorted({model for _, model in left})
    assert all(key(str(number)) in line for number, _ in left)


def test_a_kind_keeps_what_decides_who_may_serve_and_nothing_else() -> None:
    request = asked(7, "llama")
    same = {
        "policy": Policy.BEST,
        "prompt_bytes": 1,
        "max_tokens": 2,
        "deadline_s": 3.0,
        "session": "s",
        "explain": True,
        "resumed_tokens": 4,
        "key": key("other"),
        "block_hashes": lambda _: (1, 2),
        "origin": Origin(team="blue"),
        "assessment": Assessment(domain="networking"),
        "hold_tokens": 5,
        "cost_microusd_max": 6,
        "accept_substitute": True,
        "accept_restart": True,
    }
    other = {
        "model": "qwen",
        "tier": Tier.DEVICE,
        "needs": frozenset({Capability.TOOLS}),
        "from_coordinator_host": True,
        "plan": Plan(((ModelId("llama"),),)),
    }
    assert {*same, *other} == {field.name for field in fields(Request)}
    for name, value in same.items():
        assert kind_of(replace(request, **{name: value})) == kind_of(request)  # type: ignore[arg-type]
    for name, value in other.items():
        assert kind_of(replace(request, **{name: value})) != kind_of(request)  # type: ignore[arg-type]


def test_nobody_waits_twice() -> None:
    line = Line()
    line.join(asked(1, "a"), 1, 0.0)
    with pytest.raises(AssertionError, match="waits already"):
        line.join(asked(1, "b"), 2, 0.0)
