"""What people and programs say of answers: written down, and taught to the ladder.

Who asked may judge the answer, and an operator may judge any. Whatever is said again takes the
place of what was said before. No word of a prompt or an answer comes by here.
"""

import logging
from dataclasses import dataclass, field, fields

from coordinator.access import Caller
from coordinator.ledger.judged import (
    EndedRow,
    LabelRow,
    newest_labels,
    newest_of,
    task_is_known,
)
from coordinator.ledger.ladders import chosen_of, read_ladder
from coordinator.ledger.ledger import Ledger
from coordinator.ledger.records import Row
from coordinator.ledger.reports import Reports
from coordinator.loop import FleetLoop
from mesh.core.events import AnswersJudged
from mesh.core.outcomes import Source, label
from mesh.core.receipt import RungAccount
from mesh.core.types import ModelId
from mesh.errors import InvalidRequest, Overloaded
from mesh.identity.peer import PeerRole
from mesh.v1 import inference_pb2 as inference
from mesh.wire.judgements import FEEDBACK_SOURCES, read_feedback, read_outcome
from mesh.wire.text import printable

log = logging.getLogger(__name__)

# Kinds of labels; a request has one of each at most. A shadow's says nothing of the answer given.
FEEDBACK, AUDIT, SHADOW = "feedback", "audit", "shadow"
TOLD_KEPT_MAX = 4096  # what was said lately, and may not be in the store yet; 200 bytes each
SHOWN_MAX = 64

_Key = tuple[int, str, str, str]  # arrived_us, principal, request id, kind


@dataclass(slots=True)
class Judging:
    """Takes in what is said of answers and tasks."""

    loop: FleetLoop
    ledger: Ledger
    reports: Reports
    _told: dict[_Key, float] = field(default_factory=dict)  # the newest last; their scores

    async def feedback(self, message: inference.Feedback, caller: Caller) -> None:
        """Keep how good an answer was, and learn from it.

        Raises:
            InvalidRequest: a field is out of range, or the caller has no such request to judge.
            Overloaded: the request ended a while ago, and the store cannot be read now.
        """
        given = read_feedback(message)
        ended, said = await self._find(given.request_id, _whose(caller))
        if ended.state != "answered":
            shown = printable(given.request_id, SHOWN_MAX)
            raise InvalidRequest(
                f"request {shown} was {ended.state}, so there is no answer to judge",
                hint="judge one that was answered",
            )
        source = FEEDBACK_SOURCES[given.source]
        row = {"source": source.value, "label": given.label, "by": caller.principal}
        self.label(ended, FEEDBACK, source, given.score, row, said)

    async def outcome(self, message: inference.Outcome, caller: Caller) -> None:
        """Keep what became of a task.

        Raises:
            InvalidRequest: a field is out of range, or the caller has no such task.
            Overloaded: the store cannot be read now.
        """
        given, whose = read_outcome(message), _whose(caller)
        lately = self.ledger.ended(
            lambda row: row["task"] == given.task_id and whose in (None, row["principal"])
        )
        if lately is None and not await self.reports.read(
            lambda connection: task_is_known(connection, given.task_id, whose)
        ):
            raise InvalidRequest(
                f"no request of yours belongs to task {printable(given.task_id, SHOWN_MAX)}",
                hint="requests say their task as they are asked",
            )
        self.ledger.became(
            {
                "task": given.task_id,
                "principal": caller.principal,
                "outcome": given.outcome,
                "value": given.value,
            }
        )

    def label(  # noqa: PLR0913, PLR0917 - what a label is made of
        self,
        ended: EndedRow,
        kind: str,
        source: Source,
        score: float,
        more: Row,
        said: list[LabelRow] | None = None,
        rung: RungAccount | None = None,
    ) -> None:
        """Write down and teach what a source says of the answer that a request got, or of the one
        that another ``rung`` would have given."""
        rung = rung or chosen_of(read_ladder(ended.ladder))
        guess = rung.basis.guess if rung is not None else 0.0
        model_id = rung.model_id if rung is not None else ModelId("")
        key = ended.arrived_us, ended.principal, ended.request_id, kind
        before = self._told.pop(key, None)
        if before is None:
            before = next((each.score for each in said or () if each.kind == kind), None)
        if len(self._told) >= TOLD_KEPT_MAX:
            del self._told[next(iter(self._told))]
        self._told[key] = score
        self.ledger.labelled(
            {
                "arrived_us": ended.arrived_us,
                "principal": ended.principal,
                "request_id": ended.request_id,
                "kind": kind,
                "score": score,
                "model_id": model_id,
                "task_class": ended.task_class,
                "guess": guess,
                **more,
            }
        )
        if guess > 0:
            made = label(
                source, model_id, ended.task_class, guess=guess, score=score, instead_of=before
            )
            self.loop.post(AnswersJudged((made,)))

    async def relearn(self) -> None:
        """Teach what was said before this process began."""
        try:
            rows = await self.reports.read(newest_labels)
        except Overloaded as failure:
            log.warning("what was learned from judged answers begins anew: %s", failure)
            return
        known = [each for each in rows if each.guess > 0 and each.source in set(Source)]
        labels = tuple(
            label(
                Source(each.source),
                ModelId(each.model_id),
                each.task_class,
                guess=each.guess,
                score=each.score,
            )
            for each in known
        )
        if labels:
            self.loop.post(AnswersJudged(labels))

    async def _find(self, request_id: str, whose: str | None) -> tuple[EndedRow, list[LabelRow]]:
        lately = self.ledger.ended(
            lambda row: row["request_id"] == request_id and whose in (None, row["principal"])
        )
        if lately is not None:
            return ended_of(lately), []
        found = await self.reports.read(lambda connection: newest_of(connection, request_id, whose))
        if found is None:
            raise InvalidRequest(
                f"no request of yours that has ended is called {printable(request_id, SHOWN_MAX)}",
                hint="judge an answer once it is whole, by the id that its request had",
            )
        return found


def ended_of(row: Row) -> EndedRow:
    """Return the part of a request's row that judging asks for."""
    return EndedRow(**{each.name: row[each.name] for each in fields(EndedRow)})


def _whose(caller: Caller) -> str | None:
    """Return whose requests this caller may judge; None: everybody's."""
    operates = caller.identity is not None and caller.identity.role is PeerRole.OPERATOR
    return None if operates else caller.principal
