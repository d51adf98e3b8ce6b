"""The played network is TCP: late, in order, once; or the connection ends, as each end sees it."""

from collections.abc import Iterable
from random import Random

from mesh.core.actions import CloseConnection
from mesh.core.events import Event, NodeLeft
from mesh.core.types import Epoch, Failure, FailureCode, NodeId
from mesh.sim.chaos.connection import Connection, Ended, Said, Told
from mesh.sim.chaos.fate import Fate
from mesh.sim.chaos.network import KEEPALIVE_S, Link, Way
from mesh.sim.timeline import Timeline

ANN = NodeId("ann")
CLOSED = CloseConnection(1, Failure(FailureCode.NODE_LOST, "silent"))


class Wire:
    """One connection, and what each end heard of the other, with its time."""

    def __init__(self, *, jitter_s: float = 0.0, loss: float = 0.0) -> None:
        self.fate = Fate(Timeline(), Random(5))
        self.link = Link(ANN, 0.010, jitter_s, loss)
        self.above: list[tuple[float, Said]] = []
        self.below: list[tuple[float, Told]] = []
        self.connection = Connection(1, self.link, self.fate, hears=self._hears, obeys=self._obeys)

    def _hears(self, connection: Connection, said: Said, now_s: float) -> Iterable[Event]:
        self.above.append((now_s, said))
        connection.open_above = connection.open_above and not isinstance(said, Ended)
        return ()

    def _obeys(self, connection: Connection, told: Told, now_s: float) -> Iterable[Event]:
        self.below.append((now_s, told))
        if isinstance(told, Ended | CloseConnection):
            connection.close_below(now_s, reset=False)
        return ()

    def say(self, number: int, now_s: float) -> None:
        self.connection.say(NodeLeft(ANN, Epoch(number)), now_s)

    def pass_until(self, until_s: float) -> None:
        list(self.fate.timeline.pop_due(until_s))

    @property
    def numbers(self) -> list[int]:
        """What the coordinator was told, in order."""
        return [said.epoch for _, said in self.above if isinstance(said, NodeLeft)]


def test_all_arrives_in_order_and_once_however_much_is_lost() -> None:
    wire = Wire(jitter_s=0.05, loss=0.4)
    for number in range(500):
        wire.say(number, number * 0.01)
    wire.pass_until(10_000.0)
    assert wire.numbers == list(range(500))
    times_s = [at_s for at_s, _ in wire.above]
    assert times_s == sorted(times_s)
    assert max(at_s - 0.01 * number for number, at_s in enumerate(times_s)) > 1.0, "loss is delay"


def test_a_cut_direction_is_silence_and_the_other_is_not() -> None:
    wire = Wire()
    wire.link.cut_until_s[Way.UP] = 5.0
    wire.say(1, 1.0)
    wire.say(2, 1.1)
    wire.connection.tell(CLOSED, 1.0)
    wire.pass_until(4.9)
    assert wire.above == []
    assert [at_s for at_s, _ in wire.below] == [1.01]
    wire.pass_until(20.0)
    assert wire.numbers == [1, 2]
    assert wire.above[0][0] >= 5.0, "sent again after the cut"


def test_a_reset_overtakes_what_was_said_and_a_goodbye_does_not() -> None:
    for reset, heard in ((True, []), (False, [1])):
        wire = Wire()
        wire.say(1, 1.0)
        wire.connection.close_below(1.005, reset=reset)
        wire.pass_until(2.0)
        assert wire.numbers == heard
        assert isinstance(wire.above[-1][1], Ended)


def test_who_talks_to_a_closed_end_learns_that_it_is_closed() -> None:
    wire = Wire()
    wire.connection.open_above = False
    wire.say(1, 1.0)
    wire.pass_until(2.0)
    assert wire.above == []
    assert isinstance(wire.below[-1][1], Ended)
    assert not wire.connection.open_below


def test_each_end_gives_up_by_itself_while_nothing_passes() -> None:
    wire = Wire()
    forever_s = 1000.0
    wire.link.cut_until_s[Way.UP] = forever_s
    wire.connection.outage(forever_s, 1.0)
    wire.pass_until(1.0 + KEEPALIVE_S[0])
    assert wire.connection.open_above
    assert wire.connection.open_below
    wire.pass_until(1.0 + KEEPALIVE_S[1])
    assert not wire.connection.open_above
    assert not wire.connection.open_below


def test_an_outage_that_ends_in_time_costs_no_connection() -> None:
    wire = Wire()
    wire.link.cut_until_s[:] = [3.0, 3.0]
    wire.connection.outage(2.0, 1.0)
    wire.pass_until(200.0)
    assert wire.connection.open_above
    assert wire.connection.open_below
