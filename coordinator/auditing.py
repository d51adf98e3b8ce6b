"""Asks a better model again, for a small share of answers, and labels the smaller one by it. And
whenever the ladder has drawn a newcomer (``mesh.core.canary``): another one beside a canary, or the
shadow itself.

An audit is a request of its own, by ``audit``, with its own row in the ledger and on the bill. It
begins only where a slot is free and nobody waits, and ends at once when somebody does. Prompt and
answer are kept in memory until then and no longer; neither is written down or logged.
"""

import asyncio
import logging
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from coordinator.access import Caller
from coordinator.judging import AUDIT, SHADOW, Judging, ended_of
from coordinator.ledger.ladders import chosen_of, read_ladder
from coordinator.ledger.records import Row
from coordinator.ledger.totals import day_of
from coordinator.loop import FleetLoop
from mesh.core.actions import SendMoved, SendStarted
from mesh.core.agreement import agreement
from mesh.core.events import AnswersJudged
from mesh.core.foresight import Foreseen, foresee
from mesh.core.ladder import is_automatic
from mesh.core.outcomes import Label, Source
from mesh.core.receipt import Receipt, RungAccount
from mesh.core.routing import place_now
from mesh.core.types import Capability, Failure, Request, Tier
from mesh.errors import MeshError
from mesh.settings import AuditSettings
from mesh.v1 import inference_pb2 as inference

if TYPE_CHECKING:
    from coordinator.desk import Desk

log = logging.getLogger(__name__)

AUDITOR = Caller("audit", on_this_host=False)
TAG = "audit"
ANSWER_CHARACTERS_MAX = 32 * 1024  # of one answer; a longer one is not audited
WITHIN_S = 120.0  # a long answer from a slow desk; an audit is worth no more


@dataclass(slots=True)
class Noted:
    """An answer that may be audited, while it is given."""

    features: Request
    request: inference.GenerateRequest
    whole: Callable[["Noted"], None]  # called once, with the answer whole
    drawn: bool  # by chance; else it is only looked at if a newcomer had a part in it
    pieces: list[str] = field(default_factory=list)
    characters: int = 0

    def add(self, event: inference.GenerateEvent) -> None:
        """Look at what the client is about to get."""
        if event.HasField("delta"):
            self.characters += len(event.delta.text)
            if self.characters <= ANSWER_CHARACTERS_MAX:
                self.pieces.append(event.delta.text)
        elif (
            event.HasField("finished")
            and event.finished.reason == inference.FINISH_REASON_STOP
            and self.characters <= ANSWER_CHARACTERS_MAX
        ):  # the client has it first
            asyncio.get_running_loop().call_soon(self.whole, self)

    @property
    def answer(self) -> str:
        return "".join(self.pieces)


@dataclass(slots=True)
class Auditing:
    """Draws answers, and owns the audits under way. A ``Watcher``."""

    loop: FleetLoop
    desk: "Desk"
    judging: Judging
    settings: AuditSettings
    rng: Random
    clock: Callable[[], float] = time.time  # Unix time
    tasks: asyncio.TaskGroup | None = None  # set while the coordinator runs
    _under_way: set["asyncio.Task[None]"] = field(default_factory=set)
    _spent_microusd: int = 0  # in the cloud, today (UTC) and by this process
    _day_s: int = 0

    def draw(self, features: Request, request: inference.GenerateRequest) -> Noted | None:
        """Return where to note the answer of a request, if chance and the request are for it."""
        fit = is_automatic(features) and features.assessment.p_ok and not features.resumed_tokens
        if not fit or Capability.TOOLS in features.needs or features.tier is Tier.DEVICE:
            return None
        own = features.key.principal == AUDITOR.principal
        if own or self.tasks is None:
            return None
        drawn = self.rng.random() < self.settings.share
        if not drawn and not self.loop.fleet.requests.choosing.newcomers.tried:
            return None
        return Noted(features, request, self._begin, drawn)

    def close(self) -> None:
        """End every audit; none begins any more."""
        self.tasks = None
        for task in self._under_way:
            task.cancel()

    # -- as a watcher: who asks comes first --------------------------------------------------------

    def request_arrived(self, request: Request) -> None:
        if self._under_way and request.key.principal != AUDITOR.principal:
            asyncio.get_running_loop().call_soon(self._make_room)

    def request_started(self, started: SendStarted) -> None:
        """Nothing."""

    def request_moved(self, moved: SendMoved) -> None:
        """Nothing."""

    def request_ended(self, request: Request, receipt: Receipt, failure: Failure | None) -> None:
        """Nothing: the answer comes by ``Noted``."""

    def _make_room(self) -> None:
        if self.loop.fleet.requests.waiting:
            for task in self._under_way:
                task.cancel()

    # -- an audit ----------------------------------------------------------------------------------

    def _begin(self, noted: Noted) -> None:
        if self.tasks is None or len(self._under_way) >= self.settings.under_way_max:
            return
        key = noted.features.key
        row = self.judging.ledger.ended(
            lambda each: (each["principal"], each["request_id"]) == (key.principal, key.request_id)
        )
        rungs = read_ladder(row["ladder"]) if row is not None else ()
        chosen, newcomer = chosen_of(rungs), _newcomer(rungs)
        if row is None or chosen is None or not (noted.drawn or newcomer is not None):
            return
        if row["tier"] == Tier.DEVICE:  # as asked, or by a rule: it stays where it was answered
            return
        shadow = newcomer is not None and newcomer is not chosen
        asked = newcomer if shadow else self._better_now(noted, chosen, canary=newcomer is chosen)
        if asked is None or (request := self._request(noted, asked)) is None:
            return
        labelled = asked if shadow else chosen
        audit = self._audit(noted, request, row, asked, labelled)
        task = self.tasks.create_task(audit, name="audit")
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    def _better_now(self, noted: Noted, chosen: RungAccount, *, canary: bool) -> RungAccount | None:
        """Return whom to ask beside the rung that was chosen; beside a canary, anybody usual."""
        choosing = self.loop.fleet.requests.choosing
        foreseen = foresee(noted.features, choosing, self.rng, self.loop.now_s)
        if (better := self._better(foreseen, chosen)) is not None or not canary:
            return better
        usual = (
            each
            for each in foreseen.ladder
            if not (each.removed_by or each.standing) and each.model_id != chosen.model_id
        )
        return next((each for each in usual if self._allowed(each, foreseen.tier)), None)

    def _better(self, foreseen: Foreseen, chosen: RungAccount) -> RungAccount | None:
        """Return the cheapest better rung: of the mesh, or else in the cloud, within the budget.

        The ladder is the one of whoever asked, by the rules that are theirs.
        """
        same = [each.basis.rank for each in foreseen.ladder if each.model_id == chosen.model_id]
        if not same:
            return None  # the model has gone meanwhile
        better = [
            each for each in foreseen.ladder if not each.removed_by and each.basis.rank > same[0]
        ]
        better.sort(key=lambda each: (each.basis.in_cloud, each.basis.cost_microusd))
        return next((each for each in better if self._allowed(each, foreseen.tier)), None)

    def _allowed(self, rung: RungAccount, tier: Tier) -> bool:
        if not rung.basis.in_cloud:
            return True
        if day_of(self.clock()) != self._day_s:
            self._day_s, self._spent_microusd = day_of(self.clock()), 0
        left = self.settings.cloud_microusd_a_day - self._spent_microusd
        return tier is Tier.CLOUD and 0 < rung.basis.cost_microusd <= left

    def _request(self, noted: Noted, better: RungAccount) -> inference.GenerateRequest | None:
        """Make the request of an audit; None if it would have to wait."""
        made = inference.GenerateRequest()
        made.CopyFrom(noted.request)
        made.request_id = f"audit-{uuid.uuid4().hex}"
        made.model = better.model_id
        in_cloud = better.basis.in_cloud
        made.tier = inference.TIER_CLOUD if in_cloud else inference.TIER_MESH
        made.session, made.explain, made.deadline_ms = "", False, int(WITHIN_S * 1000)
        made.origin.initiator = inference.Origin.INITIATOR_EVENT
        del made.origin.tags[:]
        made.origin.tags.append(TAG)
        if in_cloud:
            return made
        fleet = self.loop.fleet
        try:
            features = self.desk.read(made, AUDITOR)
        except MeshError:
            return None
        free = place_now(features, fleet.directory, {}, self.rng) is not None
        return made if free and not fleet.requests.waiting else None

    async def _audit(
        self,
        noted: Noted,
        request: inference.GenerateRequest,
        row: Row,
        asked: RungAccount,
        labelled: RungAccount,
    ) -> None:
        """Ask ``asked`` the same, and label ``labelled`` by whether the two answers agree."""
        expected = round(asked.basis.cost_microusd) if asked.basis.in_cloud else 0
        self._spent_microusd += expected
        pieces: list[str] = []
        try:
            async with aclosing(self.desk.answer(request, AUDITOR)) as events:
                async for event in events:
                    if event.HasField("delta"):
                        pieces.append(event.delta.text)
                    elif asked.basis.in_cloud and event.HasField("finished"):
                        paid = event.finished.receipt.cost_microusd
                        self._spent_microusd += paid - expected
        except MeshError as failure:
            log.debug("an audit was not answered: %s", type(failure).__name__)
            return
        score = agreement(noted.answer, "".join(pieces))
        if score is None:
            if labelled.basis.on_trial:
                self._say_untold(labelled, row)
            return
        more = {"source": Source.AUDIT.value, "by": AUDITOR.principal}
        if labelled is asked:
            more["label"] = (chosen_of(read_ladder(row["ladder"])) or asked).model_id
            self.judging.label(ended_of(row), SHADOW, Source.AUDIT, score, more, rung=labelled)
        else:
            more["label"] = asked.model_id
            self.judging.label(ended_of(row), AUDIT, Source.AUDIT, score, more)

    def _say_untold(self, newcomer: RungAccount, row: Row) -> None:
        """Tell the ladder of a comparison that told nothing: a label of no weight."""
        task_class, guess = ended_of(row).task_class, newcomer.basis.guess
        untold = Label(newcomer.model_id, task_class, guess, 0.5, 0.0, Source.AUDIT)
        self.loop.post(AnswersJudged((untold,)))


def _newcomer(rungs: Sequence[RungAccount]) -> RungAccount | None:
    """Return the newcomer that had a part in a request, if any had."""
    return next((each for each in rungs if each.basis.on_trial), None)
