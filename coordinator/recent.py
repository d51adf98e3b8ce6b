"""Why recent requests went where they did, for operators who ask later: what was weighed is kept.

A request that did not ask to be explained costs no more than holding on to the numbers of its pick.
They become words when somebody asks. Words that a node said are left out, as in the ledger: they
may hold what its model's template said of a prompt.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from coordinator.ledger.records import ours, state_of
from mesh.core.actions import SendMoved, SendStarted
from mesh.core.explaining import explained, not_weighed
from mesh.core.filter import EXPLAINED_MAX
from mesh.core.fleet import Fleet
from mesh.core.receipt import AttemptAccount, Receipt, RuledOut
from mesh.core.types import (
    Failure,
    FailureCode,
    NodeId,
    Refusal,
    Request,
    RequestKey,
    no_hashes,
)
from mesh.errors import InvalidRequest
from mesh.wire.text import printable

KEPT_MAX = 256  # ended requests: as many as the page follows
# Replicas and reasons of all of them together: at 170 bytes a replica weighed and 400 a reason,
# some MB at most. Usual requests weigh 32 each, so all 256 fit.
ENTRIES_MAX = 16_384
PREFIX_MIN = 4  # characters of an id that stand for it, where they are one request's alone
ID_SHOWN_MAX = 64

# Outcomes that no node has put into words.
_OUR_WORDS = frozenset({"answered", "running", "relieved", "outrun", *Refusal})


@dataclass(frozen=True, slots=True)
class Told:
    """A request, with a reason for each candidate and for each other node."""

    receipt: Receipt
    state: str
    failure: str  # its code; "" if there is none
    arrived_ago_s: float


@dataclass(frozen=True, slots=True)
class _Kept:
    request: Request
    receipt: Receipt
    state: str
    failure: str
    arrived_s: float
    entries: int = 0


@dataclass(slots=True)
class Recent:
    """Remembers the newest requests that have ended. A ``Watcher``. ``clock`` is the fleet's."""

    fleet: Fleet
    clock: Callable[[], float]
    _ended: deque[_Kept] = field(default_factory=deque)  # the newest last
    _entries: int = 0

    def request_arrived(self, request: Request) -> None:
        """It is on the fleet's books until it ends."""

    def request_started(self, started: SendStarted) -> None:
        """As above."""

    def request_moved(self, moved: SendMoved) -> None:
        """As above."""

    def request_ended(self, request: Request, receipt: Receipt, failure: Failure | None) -> None:
        if failure is not None and failure.code is FailureCode.REQUEST_EXISTS:
            return  # it never was a request of its own
        entries = 1 + len(receipt.ruled_out) + (len(receipt.look) if receipt.look else 0)
        without_prompt = replace(request, block_hashes=no_hashes)  # else its text would stay
        code = "" if failure is None else str(failure.code)
        arrived_s = self.clock() - receipt.total_s
        self._ended.append(
            _Kept(without_prompt, receipt, state_of(failure), code, arrived_s, entries)
        )
        self._entries += entries
        while len(self._ended) > KEPT_MAX or self._entries > ENTRIES_MAX:
            self._entries -= self._ended.popleft().entries

    def explain(self, request_id: str, principal: str = "") -> Told:
        """Tell of a request by its id, or by the beginning of it; "" is the newest.

        Args:
            principal: whose, where several use the same id; "": the newest of them.

        Raises:
            InvalidRequest: there is none, or there are several.
        """
        found = self._find(request_id, principal)
        now_s, receipt, look = self.clock(), found.receipt, found.receipt.look
        ruled_out, notes = receipt.ruled_out, receipt.notes
        if not ruled_out:
            directory, avoid = self.fleet.directory, _avoided(receipt)
            ruled_out = not_weighed(found.request, directory, look, avoid, EXPLAINED_MAX, now_s)
            ago_s = now_s - found.arrived_s
            if ruled_out:
                when = f"{ago_s:.1f} s after the request came"
                notes = (*notes, f"why the others could not is told as they stand now, {when}")
        told = replace(
            receipt,
            candidates=explained(look) if look is not None else receipt.candidates,
            ruled_out=tuple(
                RuledOut(each.node_id, each.node_name, ours(each.reason, receipt))
                for each in ruled_out
            ),
            attempts=tuple(_without_its_words(each) for each in receipt.attempts),
            why=ours(receipt.why, receipt),
            notes=notes,
        )
        return Told(told, found.state, found.failure, now_s - found.arrived_s)

    def _find(self, request_id: str, principal: str) -> _Kept:
        keys = [
            key
            for key in (*self._ended_by_key(), *self.fleet.requests.under_way())
            if not principal or key.principal == principal
        ]
        same = [key for key in keys if key.request_id == request_id]
        if not same and len(request_id) >= PREFIX_MIN:
            same = [key for key in keys if key.request_id.startswith(request_id)]
            if len({key.request_id for key in same}) > 1:
                raise InvalidRequest(
                    f"{len(same)} recent requests begin with {_shown(request_id)}",
                    hint="say more of the id",
                )
        if not request_id:
            same = self._newest(keys)
        if not same:
            raise self._unknown(request_id)
        ended = self._ended_by_key()
        found = [self._so_far(key) or ended[key] for key in same]
        return max(found, key=lambda each: each.arrived_s)

    def _ended_by_key(self) -> dict[RequestKey, _Kept]:
        """The newest, where an id was used again."""
        return {each.receipt.key: each for each in self._ended}

    def _newest(self, keys: list[RequestKey]) -> list[RequestKey]:
        """Return the one that came last of those that ended, and of those under way."""
        arrived_s = {key: each.arrived_s for key, each in self._ended_by_key().items()}
        ended = [key for key in keys if key in arrived_s]
        last = sorted(ended, key=arrived_s.__getitem__)[-1:]
        return [*last, *[key for key in keys if key not in arrived_s][-1:]]

    def _so_far(self, key: RequestKey) -> _Kept | None:
        now_s = self.clock()
        under_way = self.fleet.requests.so_far(key, now_s)
        if under_way is None:
            return None
        request, receipt = under_way
        running = bool(receipt.attempts) and receipt.attempts[-1].outcome == "running"
        arrived_s = now_s - receipt.total_s
        return _Kept(request, receipt, "running" if running else "waiting", "", arrived_s)

    def _unknown(self, request_id: str) -> InvalidRequest:
        what = f"no recent request {_shown(request_id)}" if request_id else "no request yet"
        if not self._ended:
            return InvalidRequest(what, hint="none has ended since the coordinator began")
        ago_s = self.clock() - self._ended[0].arrived_s
        back = f"the last {len(self._ended)}, of {ago_s / 60:.0f} min, are remembered"
        return InvalidRequest(what, hint=f"{back}; `deskmesh ledger requests` lists older ones")


def _avoided(receipt: Receipt) -> dict[NodeId, str]:
    """Return the nodes that the request was kept from, with our own word for why."""
    avoid = dict(receipt.look.avoid) if receipt.look is not None else {}
    for each in receipt.attempts:
        if each.outcome not in ("answered", "running"):
            avoid[each.node_id] = f"failed this request: {each.outcome.replace('_', ' ')}"
    return avoid


def _without_its_words(attempt: AttemptAccount) -> AttemptAccount:
    return attempt if attempt.outcome in _OUR_WORDS else replace(attempt, reason="")


def _shown(request_id: str) -> str:
    return repr(printable(request_id, ID_SHOWN_MAX))
