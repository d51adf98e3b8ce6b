"""Which address is dialled, and when."""

from random import Random

import pytest

from mesh.core.types import NodeId
from node_agent.addresses import (
    ADDRESSES_MAX,
    DOUBTFUL_TRIES_MIN,
    SEEN_GAP_S,
    STAGGER_S,
    AddressBook,
    Origin,
)
from node_agent.backoff import DOUBTFUL, REFUSED, UNREACHABLE

NONE: frozenset[NodeId] = frozenset()
X, Y = NodeId("x"), NodeId("y")


@pytest.fixture
def book() -> AddressBook:
    return AddressBook(Random(7))


def dialled(book: AddressBook, now_s: float, attached: frozenset[NodeId] = NONE) -> list[str]:
    return [address.target for address in book.dial(attached, now_s)]


def test_every_known_address_is_dialled_soon_and_once(book: AddressBook) -> None:
    """One after the other: until a welcome tells, all may lead to one coordinator."""
    book.add("a:1", Origin.JOINED)
    book.add("b:1", Origin.SEED)
    book.add("c:1", Origin.SEEN, X)
    assert dialled(book, 0.0) == ["a:1"]
    assert dialled(book, STAGGER_S) == ["b:1"]
    assert dialled(book, 2 * STAGGER_S) == ["c:1"]
    assert dialled(book, 3 * STAGGER_S) == []
    assert book.wait_s(NONE, 1.0) is None


def test_an_address_that_failed_is_dialled_again_ever_later(book: AddressBook) -> None:
    book.add("a:1", Origin.JOINED)
    waits, now_s = [], 0.0
    for _ in range(12):
        [address] = book.dial(NONE, now_s)
        book.released(address, now_s, refused=False)
        waits.append(book.wait_s(NONE, now_s) or 0.0)
        now_s += waits[-1]
    assert UNREACHABLE.first_s / 2 <= waits[0] <= UNREACHABLE.first_s
    assert all(UNREACHABLE.most_s / 2 <= wait <= UNREACHABLE.most_s for wait in waits[4:])
    assert len(set(waits)) == 12, "nodes that lost one coordinator would dial it in step"


def test_a_refusal_is_left_alone_for_longer(book: AddressBook) -> None:
    book.add("a:1", Origin.JOINED)
    [address] = book.dial(NONE, 0.0)
    book.released(address, 0.0, refused=True)
    assert (book.wait_s(NONE, 0.0) or 0.0) >= REFUSED.first_s / 2


def test_a_welcome_ends_the_row_of_failures(book: AddressBook) -> None:
    book.add("a:1", Origin.JOINED)
    now_s = 0.0
    for _ in range(6):
        [address] = book.dial(NONE, now_s)
        book.released(address, now_s, refused=False)
        now_s += 10
    [address] = book.dial(NONE, now_s)
    book.welcomed(address, X)
    book.released(address, now_s, refused=False)
    assert (book.wait_s(NONE, now_s) or 0.0) <= UNREACHABLE.first_s


def test_a_second_address_of_an_attached_coordinator_is_left_alone(book: AddressBook) -> None:
    book.add("a:1", Origin.JOINED)
    [address] = book.dial(NONE, 0.0)
    book.welcomed(address, X)
    book.add("b:1", Origin.SEEN, X)
    assert dialled(book, 1.0, frozenset({X})) == []
    assert book.wait_s(frozenset({X}), 1.0) is None
    assert dialled(book, 2.0) == ["b:1"]  # the attach was lost


def test_addresses_of_one_coordinator_are_dialled_one_after_the_other(book: AddressBook) -> None:
    book.add("a:1", Origin.SEEN, X)
    book.add("b:1", Origin.SEEN, X)
    book.add("c:1", Origin.SEEN, Y)
    assert dialled(book, 0.0) == ["a:1", "c:1"]
    assert book.wait_s(NONE, 0.0) == STAGGER_S
    assert dialled(book, STAGGER_S) == ["b:1"]


def test_a_welcome_names_the_slower_dials_to_the_same_coordinator(book: AddressBook) -> None:
    book.add("a:1", Origin.SEEN, X)
    book.add("b:1", Origin.SEEN, X)
    book.add("c:1", Origin.SEEN, Y)
    first, other = book.dial(NONE, 0.0)
    [second] = book.dial(NONE, STAGGER_S)
    assert list(book.welcomed(second, X)) == [first]
    assert list(book.welcomed(other, Y)) == []


def test_mdns_cannot_move_or_remove_a_known_address(book: AddressBook) -> None:
    book.add("a:1", Origin.JOINED)
    assert not book.add("a:1", Origin.SEEN, Y)
    [address] = book.dial(frozenset({Y}), 0.0)  # the claim that it is Y's counts for nothing
    assert (address.origin, address.coordinator_id) == (Origin.JOINED, "")


def test_what_only_mdns_names_is_tried_slowly_while_we_are_attached(book: AddressBook) -> None:
    for number in range(3):
        book.add(f"{number}:1", Origin.SEEN, NodeId(f"claimed-{number}"))
    attached = frozenset({X})
    assert dialled(book, 0.0, attached) == ["0:1"]
    assert book.wait_s(attached, 1.0) == SEEN_GAP_S - 1.0
    assert dialled(book, SEEN_GAP_S, attached) == ["1:1"]


def fails(book: AddressBook, times: int, *, answered_once: bool = False) -> float:
    """Dial ``a:1`` so often in vain, and return the wait before the next time."""
    for round_number in range(times):
        [address] = book.dial(NONE, 100.0 * round_number)
        if answered_once and not round_number:
            book.welcomed(address, X)
        book.released(address, 100.0 * round_number, refused=False)
    return book.wait_s(NONE, 100.0 * (times - 1)) or 0.0


def test_what_only_mdns_names_is_tried_ever_slower_where_nobody_answers(book: AddressBook) -> None:
    """It is not forgotten: mDNS told it once, and a coordinator may only be slow to start."""
    book.add("a:1", Origin.SEEN, X)
    assert DOUBTFUL.most_s / 2 <= fails(book, 12) <= DOUBTFUL.most_s


def test_an_address_that_answered_once_is_tried_at_the_usual_pace(book: AddressBook) -> None:
    book.add("a:1", Origin.SEEN, X)
    assert fails(book, 12, answered_once=True) <= UNREACHABLE.most_s


def test_every_address_is_due_once_what_stood_in_the_way_is_gone(book: AddressBook) -> None:
    book.add("a:1", Origin.SEEN, X)
    assert fails(book, 12) > 0.0
    book.hurry()
    [address] = book.dial(NONE, 0.0)
    book.released(address, 0.0, refused=False)
    assert (book.wait_s(NONE, 0.0) or 0.0) <= UNREACHABLE.first_s, "earlier failures count"


def test_a_flood_of_claims_does_not_push_out_one_that_was_hardly_tried(book: AddressBook) -> None:
    book.add("true:1", Origin.SEEN, X)
    [address] = book.dial(NONE, 0.0)
    book.released(address, 0.0, refused=False)
    for number in range(10 * ADDRESSES_MAX):
        book.add(f"{number}:1", Origin.SEEN, NodeId(f"{number}"))
    assert "true:1" in book.targets()


def test_one_where_nobody_answers_makes_room_for_another(book: AddressBook) -> None:
    book.add("a:1", Origin.SEEN, X)
    fails(book, DOUBTFUL_TRIES_MIN)
    for number in range(ADDRESSES_MAX):
        book.add(f"{number}:1", Origin.SEEN, NodeId(f"{number}"))
    assert len(book) == ADDRESSES_MAX
    assert "a:1" not in book.targets()


def test_a_flood_of_claims_is_bounded_and_pushes_nothing_proper_out(book: AddressBook) -> None:
    book.add("ours:1", Origin.JOINED)
    for number in range(10 * ADDRESSES_MAX):
        book.add(f"{number}:1", Origin.SEEN, NodeId(f"{number}"))
    assert len(book) == ADDRESSES_MAX
    assert "ours:1" in book.targets()
    assert book.add("seed:1", Origin.SEED)
