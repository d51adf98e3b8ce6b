"""How much is lent beside an owner: signs in, decisions out."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.settings import Generosity, OnBattery
from node_agent.lending import (
    AT_KEYBOARD_S,
    BATTERY_AGAIN,
    BATTERY_MIN,
    BUSY_AFTER_S,
    HOT,
    IDLE_AFTER_S,
    TOO_HOT,
    Lender,
    Lending,
    Signs,
)

QUIET = Signs()
WORKING = Signs(cpu=1.0)  # its owner's programs take all there is
TYPING = Signs(untouched_s=AT_KEYBOARD_S - 1)
UNPLUGGED = Signs(on_battery=True, battery=0.9)
LONG_S = BUSY_AFTER_S + IDLE_AFTER_S


def lender(
    generosity: Generosity = Generosity.BALANCED, on_battery: OnBattery = OnBattery.LESS
) -> Lender:
    return Lender(generosity, on_battery)


def after_a_while(under_test: Lender, signs: Signs) -> Lending:
    """What is lent once the signs have been the same for long."""
    under_test.saw(signs, 0.0)
    return under_test.saw(signs, LONG_S)


@pytest.mark.parametrize("generosity", Generosity)
@pytest.mark.parametrize("on_battery", OnBattery)
def test_everything_is_lent_while_nobody_is_there(
    generosity: Generosity, on_battery: OnBattery
) -> None:
    assert after_a_while(lender(generosity, on_battery), QUIET) == Lending("", 1.0)


def test_an_owner_who_needs_the_processors_gets_them() -> None:
    assert "processors" in after_a_while(lender(), WORKING).busy


def test_a_moment_of_work_is_no_reason_to_lend_nothing() -> None:
    under_test = lender()
    under_test.saw(QUIET, 0.0)
    assert not under_test.saw(WORKING, 1.0).busy
    assert not under_test.saw(WORKING, 1.0 + BUSY_AFTER_S - 0.1).busy
    assert not under_test.saw(QUIET, 1.0 + BUSY_AFTER_S).busy
    assert not under_test.saw(WORKING, 2.0 + BUSY_AFTER_S).busy


def test_a_pause_of_the_owners_is_not_their_leaving() -> None:
    under_test = lender()
    after_a_while(under_test, WORKING)
    assert under_test.saw(QUIET, 20.0).busy
    assert under_test.saw(WORKING, 22.0).busy
    assert under_test.saw(QUIET, 23.0).busy
    assert under_test.saw(QUIET, 23.0 + IDLE_AFTER_S - 0.1).busy
    assert not under_test.saw(QUIET, 23.0 + IDLE_AFTER_S).busy


def test_work_at_the_limit_does_not_flap() -> None:
    """What made the machine busy keeps it so until it is clearly less."""
    under_test = lender()
    assert after_a_while(under_test, Signs(cpu=0.86)).busy
    assert under_test.saw(Signs(cpu=0.80), 100.0).busy
    assert under_test.saw(Signs(cpu=0.80), 200.0).busy
    under_test.saw(Signs(cpu=0.5), 300.0)
    assert not under_test.saw(Signs(cpu=0.5), 300.0 + IDLE_AFTER_S).busy
    assert not after_a_while(under_test, Signs(cpu=0.80)).busy


def test_one_busy_core_of_two_leaves_the_other_one_to_the_mesh() -> None:
    assert after_a_while(lender(), Signs(cpu=0.6)) == Lending("", 1.0)
    assert after_a_while(lender(Generosity.LOW), Signs(cpu=0.6)).busy


def test_a_generous_owner_lends_whatever_they_do() -> None:
    signs = replace(WORKING, untouched_s=0.0, temperature=1.0)
    assert after_a_while(lender(Generosity.FULL), signs) == Lending("", 1.0)


@pytest.mark.parametrize(
    ("generosity", "slots"), [(Generosity.LOW, 2), (Generosity.BALANCED, 2), (Generosity.FULL, 4)]
)
def test_somebody_at_the_keyboard_leaves_fewer_slots(generosity: Generosity, slots: int) -> None:
    lending = after_a_while(lender(generosity), TYPING)
    assert lending.slots(4) == slots
    assert bool(lending.busy) is (generosity is Generosity.LOW)
    assert lender(generosity).saw(Signs(untouched_s=AT_KEYBOARD_S), 0.0).slots(4) == 4


@pytest.mark.parametrize(
    ("on_battery", "charged", "busy", "slots"),
    [
        (OnBattery.SERVE, 0.01, False, 4),
        (OnBattery.LESS, 0.9, False, 2),
        (OnBattery.LESS, BATTERY_MIN, True, 2),
        (OnBattery.LESS, None, False, 2),
        (OnBattery.STOP, 1.0, True, 2),
    ],
)
def test_a_battery_is_spared_as_its_owner_wants(
    on_battery: OnBattery, charged: float | None, busy: bool, slots: int
) -> None:
    under_test = lender(on_battery=on_battery)
    lending = after_a_while(under_test, replace(UNPLUGGED, battery=charged))
    assert (bool(lending.busy), lending.slots(4)) == (busy, slots)


def test_a_plug_ends_the_sparing() -> None:
    under_test = lender()
    empty = replace(UNPLUGGED, battery=0.1)
    assert after_a_while(under_test, empty).busy == "its battery is low"
    plugged = replace(empty, on_battery=False)
    under_test.saw(plugged, 100.0)
    assert under_test.saw(plugged, 100.0 + IDLE_AFTER_S) == Lending("", 1.0)


def test_a_battery_that_wavers_at_its_limit_does_not_flap() -> None:
    under_test = lender()
    assert after_a_while(under_test, replace(UNPLUGGED, battery=BATTERY_MIN)).busy
    between = replace(UNPLUGGED, battery=(BATTERY_MIN + BATTERY_AGAIN) / 2)
    assert after_a_while(under_test, between).busy


@pytest.mark.parametrize("generosity", [Generosity.LOW, Generosity.BALANCED])
def test_a_hot_machine_gets_less_to_do_and_one_too_hot_nothing(generosity: Generosity) -> None:
    under_test = lender(generosity)
    assert after_a_while(under_test, Signs(temperature=HOT)) == Lending("", 0.5)
    assert after_a_while(under_test, Signs(temperature=TOO_HOT)).busy == "it is too hot"
    assert after_a_while(under_test, Signs(temperature=HOT)).busy  # not cool enough yet
    assert not after_a_while(under_test, Signs(temperature=HOT - 0.01)).busy


shares = st.floats(0.0, 1.0)
signs = st.builds(
    Signs,
    cpu=shares,
    untouched_s=st.none() | st.floats(0.0, 200.0),
    on_battery=st.booleans(),
    battery=st.none() | shares,
    temperature=st.none() | shares,
)
looks = st.lists(st.tuples(signs, st.floats(0.1, 5.0)), max_size=30)


@given(looks, st.integers(1, 64))
def test_a_generous_owner_never_lends_less_than_a_careful_one(
    looks: list[tuple[Signs, float]], slots: int
) -> None:
    lenders = [lender(each) for each in (Generosity.LOW, Generosity.FULL)]
    now_s = 0.0
    for seen, pause_s in looks:
        now_s += pause_s
        careful, generous = (each.saw(seen, now_s) for each in lenders)
        assert 1 <= careful.slots(slots) <= generous.slots(slots) <= slots


@given(looks)
def test_it_is_busy_only_after_signs_that_lasted(looks: list[tuple[Signs, float]]) -> None:
    under_test, now_s, changed_s, busy = lender(), 0.0, 0.0, ""
    for seen, pause_s in looks:
        now_s += pause_s
        lending = under_test.saw(seen, now_s)
        if bool(lending.busy) != bool(busy):
            held_s = BUSY_AFTER_S if lending.busy else IDLE_AFTER_S
            assert now_s - changed_s >= held_s
            changed_s = now_s
        busy = lending.busy
