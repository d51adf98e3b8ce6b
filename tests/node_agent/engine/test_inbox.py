"""A cancellation reaches the request it is about, wherever that is, and no other."""

import pytest

from node_agent.engine.abort import AbortFlag
from node_agent.engine.inbox import Inbox, Prepared, Prompt
from node_agent.engine.messages import Cancel, Embed, Generate, Save
from tests.node_agent.engine.asking import ask

WORK = ask("x")


@pytest.fixture
def abort() -> AbortFlag:
    return AbortFlag()


@pytest.fixture
def unread(abort: AbortFlag) -> Inbox:
    """An inbox with three requests in it."""
    inbox = Inbox(abort)
    for number in (1, 2, 3):
        inbox.put(Generate(number, WORK))
    return inbox


@pytest.fixture
def inbox(unread: Inbox) -> Inbox:
    """The same, and somebody prepares them."""
    for _ in range(3):
        unread.asked()
    return unread


def test_requests_are_prepared_in_their_order_and_then_heard(unread: Inbox) -> None:
    inbox = unread
    asked = [inbox.asked().request for _ in range(3)]
    assert asked == [1, 2, 3]
    assert inbox.news(wait=False) == ([], frozenset())
    made = [Prepared(number, WORK, Prompt((number,))) for number in asked]
    for each in made:
        inbox.prepared(each)
    assert inbox.news(wait=True) == (made, frozenset())
    assert inbox.news(wait=False) == ([], frozenset())


def test_a_request_for_vectors_is_cancelled_as_any_other(inbox: Inbox) -> None:
    inbox.put(Embed(4, ("x",)))
    assert inbox.asked().request == 4
    inbox.put(Cancel(4))
    assert inbox.news(wait=False) == ([], frozenset({4}))


def test_a_step_for_one_is_broken_off_with_it(inbox: Inbox, abort: AbortFlag) -> None:
    inbox.begin_step({1})
    inbox.put(Cancel(2))
    assert not abort.is_set()
    inbox.put(Cancel(1))
    assert abort.is_set()
    inbox.begin_step({3})
    assert not abort.is_set()


def test_a_step_for_several_goes_on_until_all_have_left(inbox: Inbox, abort: AbortFlag) -> None:
    inbox.begin_step({1, 2})
    inbox.put(Cancel(1))
    assert not abort.is_set()
    inbox.put(Cancel(2))
    assert abort.is_set()


def test_who_left_while_the_step_was_planned_breaks_it_off(inbox: Inbox, abort: AbortFlag) -> None:
    inbox.put(Cancel(1))
    inbox.begin_step({1})
    assert abort.is_set()


def test_a_cancellation_is_told_until_its_request_ends(inbox: Inbox) -> None:
    inbox.put(Cancel(2))
    assert inbox.news(wait=False)[1] == {2}
    assert inbox.news(wait=False)[1] == {2}
    inbox.ended(2)
    assert inbox.news(wait=False)[1] == frozenset()
    inbox.put(Cancel(2))  # has crossed with the end
    inbox.put(Cancel(9))  # of nobody
    assert inbox.news(wait=False)[1] == frozenset()


def test_it_is_quiet_once_the_last_request_has_ended(inbox: Inbox) -> None:
    for number in (1, 2, 3):
        assert not inbox.quiet
        inbox.ended(number)
    assert inbox.quiet


def test_a_save_is_heard_once_by_whoever_waits(inbox: Inbox) -> None:
    assert not inbox.take_save()
    inbox.put(Save())
    assert inbox.news(wait=True) == ([], frozenset())
    assert inbox.take_save()
    assert not inbox.take_save()


def test_one_that_leaves_before_anybody_looked_at_it_is_done_with_at_once(
    abort: AbortFlag,
) -> None:
    dropped: list[int] = []
    inbox = Inbox(abort, dropped.append)
    for number in (1, 2):
        inbox.put(Generate(number, WORK))
    inbox.put(Cancel(1))
    assert dropped == [1]
    assert inbox.asked().request == 2, "it is prepared all the same"
    inbox.put(Cancel(2))
    assert dropped == [1], "whoever prepares it will tell"
    assert inbox.news(wait=False)[1] == {2}
