"""The table of who was heard is bounded and keeps what it learned."""

import dataclasses

from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.discovery.advert import Advert, Role
from mesh.discovery.sighting import Endpoint, MachineGone, MachineSeen
from mesh.discovery.table import (
    ENDPOINT_KEPT_S,
    ENDPOINTS_EARLIER_MAX,
    ENDPOINTS_NOW_MAX,
    MACHINES_MAX,
    SightingTable,
)

UNTIMED = settings(deadline=None, max_examples=30)  # busy machines are slow at random

HOME = "192.168.1.10"


def coordinator(machine_id: str = "boss", mesh_port: int = 7443) -> Advert:
    return Advert(machine_id, "mesh", "0.1.0", Role.COORDINATOR, "Boss", mesh_port, 7444)


def hosts_of(table: SightingTable) -> tuple[str, ...]:
    (sighting,) = table.sightings()
    return sighting.addresses


def test_a_new_machine_is_seen_and_the_same_again_is_no_event() -> None:
    table = SightingTable()
    (event,) = table.hear(coordinator(), [HOME], seen_at_s=1.0)
    assert event == MachineSeen(table.sightings()[0])
    assert table.hear(coordinator(), [HOME], seen_at_s=2.0) == ()
    assert table.sightings()[0].seen_at_s == 2.0


def test_another_advert_is_an_event() -> None:
    table = SightingTable()
    table.hear(coordinator(), [HOME], seen_at_s=1.0)
    renamed = dataclasses.replace(coordinator(), name="Chief")
    (event,) = table.hear(renamed, [HOME], seen_at_s=2.0)
    assert event.sighting.advert.name == "Chief"


def test_a_machine_without_an_address_is_not_seen() -> None:
    table = SightingTable()
    assert table.hear(coordinator(), [], seen_at_s=1.0) == ()
    assert table.sightings() == ()


def test_a_goodbye_is_an_event_once_and_keeps_the_endpoints() -> None:
    table = SightingTable()
    table.hear(coordinator(), [HOME], seen_at_s=1.0)
    (event,) = table.bye("boss-c")
    assert isinstance(event, MachineGone)
    assert event.sighting.gone
    assert event.sighting.addresses == (HOME,)
    assert table.bye("boss-c") == ()
    assert table.bye("unheard-of") == ()


def test_a_machine_that_comes_back_is_seen_again() -> None:
    table = SightingTable()
    table.hear(coordinator(), [HOME], seen_at_s=1.0)
    table.bye("boss-c")
    (event,) = table.hear(coordinator(), [HOME], seen_at_s=2.0)
    assert isinstance(event, MachineSeen)
    assert not event.sighting.gone


def test_a_moved_machine_is_dialled_at_its_new_place_first_and_at_the_old_one_too() -> None:
    table = SightingTable()
    table.hear(coordinator(), [HOME], seen_at_s=1.0)
    (event,) = table.hear(coordinator(mesh_port=9999), ["10.6.6.6"], seen_at_s=2.0)
    assert event.sighting.endpoints == (
        Endpoint("10.6.6.6", 9999, 7444),
        Endpoint(HOME, 7443, 7444),
    )


@UNTIMED
@given(st.lists(st.lists(st.integers(0, 255), min_size=1, max_size=12), max_size=60))
def test_no_number_of_forged_packets_pushes_out_what_was_there_first(
    forged: list[list[int]],
) -> None:
    table = SightingTable()
    table.hear(coordinator(), [HOME], seen_at_s=0.0)
    for number, tails in enumerate(forged, start=1):
        table.hear(coordinator(), [f"10.6.6.{tail}" for tail in tails], seen_at_s=float(number))
        if number % 3 == 0:  # the real one speaks up in between
            table.hear(coordinator(), [HOME], seen_at_s=number + 0.5)
        assert HOME in hosts_of(table)
        assert len(hosts_of(table)) <= ENDPOINTS_NOW_MAX + ENDPOINTS_EARLIER_MAX


def test_an_address_not_heard_for_an_hour_is_forgotten() -> None:
    table = SightingTable()
    table.hear(coordinator(), [HOME], seen_at_s=0.0)
    table.hear(coordinator(), ["10.0.0.1"], seen_at_s=ENDPOINT_KEPT_S)
    assert hosts_of(table) == ("10.0.0.1", HOME)
    table.hear(coordinator(), ["10.0.0.1"], seen_at_s=ENDPOINT_KEPT_S + 1)
    assert hosts_of(table) == ("10.0.0.1",)


def test_ipv4_comes_first_and_each_address_once() -> None:
    table = SightingTable()
    table.hear(coordinator(), ["2001:db8::1", "203.0.113.9", "203.0.113.9"], seen_at_s=0.0)
    assert hosts_of(table) == ("203.0.113.9", "2001:db8::1")


def test_a_node_and_a_coordinator_of_one_machine_are_two_entries() -> None:
    table = SightingTable()
    table.hear(coordinator(), [HOME], seen_at_s=0.0)
    table.hear(Advert("boss", "mesh", "0.1.0", Role.NODE, "Boss"), [HOME], seen_at_s=0.0)
    assert len(table.sightings()) == 2


def test_a_full_table_drops_the_machine_that_was_not_heard_for_longest() -> None:
    table = SightingTable()
    for number in range(MACHINES_MAX):
        table.hear(coordinator(f"m{number}"), [HOME], seen_at_s=float(number))
    table.hear(coordinator("m0"), [HOME], seen_at_s=1000.0)
    gone, seen = table.hear(coordinator("new"), [HOME], seen_at_s=1001.0)
    assert isinstance(gone, MachineGone)
    assert gone.sighting.advert.machine_id == "m1"
    assert seen.sighting.advert.machine_id == "new"
    assert len(table.sightings()) == MACHINES_MAX


def test_a_full_table_drops_a_machine_that_is_gone_before_one_that_is_here() -> None:
    table = SightingTable()
    for number in range(MACHINES_MAX):
        table.hear(coordinator(f"m{number}"), [HOME], seen_at_s=float(number))
    table.bye("m300-c")
    dropped, _ = table.hear(coordinator("new"), [HOME], seen_at_s=1000.0)
    assert dropped.sighting.advert.machine_id == "m300"


def test_an_endpoint_is_written_as_grpc_takes_it() -> None:
    assert Endpoint("10.0.0.1", 7443, 7444).target(7443) == "10.0.0.1:7443"
    assert Endpoint("2001:db8::1", 7443, 7444).target(7444) == "[2001:db8::1]:7444"
