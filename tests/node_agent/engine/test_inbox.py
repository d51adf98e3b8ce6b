"""A cancellation reaches the request it is about, and no other."""

import pytest

from mesh.core.generation import Generation
from node_agent.engine.abort import AbortFlag
from node_agent.engine.inbox import Inbox
from node_agent.engine.messages import Cancel, Generate
from tests.node_agent.engine.asking import ask

WORK: Generation = ask("x")


@pytest.fixture
def abort() -> AbortFlag:
    return AbortFlag()


@pytest.fixture
def inbox(abort: AbortFlag) -> Inbox:
    """An inbox with three requests in it."""
    inbox = Inbox(abort)
    for number in (1, 2, 3):
        inbox.put(Generate(number, WORK))
    return inbox


def begun(inbox: Inbox, abort: AbortFlag, requests: int) -> list[bool]:
    """Begin the next requests; tell of each whether it was broken off at once."""
    broken_off = []
    for _ in range(requests):
        inbox.take()
        broken_off.append(abort.is_set())
    return broken_off


def test_the_request_in_work_is_broken_off(inbox: Inbox, abort: AbortFlag) -> None:
    assert begun(inbox, abort, 1) == [False]
    inbox.put(Cancel(1))
    assert abort.is_set()
    assert begun(inbox, abort, 2) == [False, False]


def test_a_request_that_waits_is_broken_off_as_it_begins(inbox: Inbox, abort: AbortFlag) -> None:
    inbox.put(Cancel(2))
    assert begun(inbox, abort, 3) == [False, True, False]


def test_a_request_that_has_ended_takes_nobody_along(inbox: Inbox, abort: AbortFlag) -> None:
    assert begun(inbox, abort, 2) == [False, False]
    inbox.put(Cancel(1))
    assert not abort.is_set()
    assert begun(inbox, abort, 1) == [False]
