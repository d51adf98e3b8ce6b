"""One machine's connection to the coordinator, as each of its two ends sees it."""

from collections.abc import Callable, Iterable
from functools import partial

from mesh.core import actions
from mesh.core.events import Event
from mesh.core.types import NodeId
from mesh.sim.chaos.fate import Fate
from mesh.sim.chaos.network import KEEPALIVE_S, Link, Pipe, Way


class Ended:
    """The other end is gone; comes last, after whatever was sent before."""


ENDED = Ended()

Said = Event | Ended  # up, by the machine
Told = (  # down, by the coordinator
    actions.AdmitNode
    | actions.CloseConnection
    | actions.StartAttempt
    | actions.CancelAttempt
    | actions.EndDelivery
    | Ended
)
Hears = Callable[["Connection", Said, float], Iterable[Event]]
Obeys = Callable[["Connection", Told, float], Iterable[Event]]


class Connection:
    """Mutable. An end that is closed hears nothing more; who talks to it learns that it is."""

    __slots__ = (
        *("_down", "_fate", "_hears", "_obeys", "_up"),
        *("connection_id", "link", "open_above", "open_below"),
    )

    def __init__(
        self, connection_id: int, link: Link, fate: Fate, *, hears: Hears, obeys: Obeys
    ) -> None:
        self.connection_id, self.link = connection_id, link
        self.open_above = True  # as the coordinator sees it
        self.open_below = True  # as the machine sees it
        self._fate, self._hears, self._obeys = fate, hears, obeys
        self._up: Pipe[Said] = Pipe(Way.UP, link, fate, self._hear)
        self._down: Pipe[Told] = Pipe(Way.DOWN, link, fate, self._obey)

    @property
    def node_id(self) -> NodeId:
        return self.link.node_id

    def say(self, said: Event, now_s: float) -> None:
        """Send something up."""
        if self.open_below:
            self._up.send(said, now_s)

    def tell(self, told: Told, now_s: float) -> None:
        """Send something down."""
        if self.open_above:
            self._down.send(told, now_s)

    def close_above(self, last: Told, now_s: float) -> None:
        self.tell(last, now_s)
        self.open_above = False

    def close_below(self, now_s: float, *, reset: bool) -> None:
        """Close the machine's end; a ``reset`` overtakes what it has said."""
        if self.open_below:
            self.open_below = False
            if reset:
                self._up.drop()
            self._up.send(ENDED, now_s)

    def vanish(self, seconds: float, now_s: float, *, said: bool) -> None:
        """The machine is gone for so long, and its kernel with it: nobody closes the connection.

        Args:
            said: what it has said still arrives.
        """
        self.open_below = False
        if not said:
            self._up.drop()
        self.outage(seconds, now_s)

    def outage(self, seconds: float, now_s: float) -> None:
        """Nothing passes, or nobody answers, for so long. Each end pings, and may give up."""
        self.link.outages += 1
        for unanswered in (self._unanswered_above, self._unanswered_below):
            at_s = now_s + self._fate.rng.uniform(*KEEPALIVE_S)
            if at_s < now_s + seconds or not self.open_below:
                self._fate.at(at_s, partial(unanswered, self.link.outages))

    def _hear(self, said: Said, now_s: float) -> Iterable[Event]:
        if self.open_above:
            return self._hears(self, said, now_s)
        if said is not ENDED:
            self._down.send(ENDED, now_s)
        return ()

    def _obey(self, told: Told, now_s: float) -> Iterable[Event]:
        if self.open_below:
            return self._obeys(self, told, now_s)
        if told is not ENDED:
            self._up.send(ENDED, now_s)
        return ()

    def _unanswered_above(self, outage: int, now_s: float) -> Iterable[Event]:
        still = outage == self.link.outages and not self.link.up(now_s)
        if self.open_above and (still or not self.open_below):
            return self._hears(self, ENDED, now_s)
        return ()

    def _unanswered_below(self, outage: int, now_s: float) -> Iterable[Event]:
        if outage != self.link.outages or self.link.up(now_s) or not self.open_below:
            return ()
        if now_s < self.link.deaf_until_s:
            return ()  # it does not even look at its clock
        return self._obeys(self, ENDED, now_s)
