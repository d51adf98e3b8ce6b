"""What the ladder knew of a request is kept as numbers, and read back as it was."""

from pathlib import Path

from coordinator.ledger.ladders import RUNGS_KEPT_MAX, chosen_of, read_ladder, write_ladder
from mesh.core.asked import Assessment, Origin
from mesh.core.receipt import Basis, RungAccount
from mesh.core.types import ModelId
from tests.coordinator.ledger.conftest import NewLedger
from tests.coordinator.ledger.played_requests import a_receipt, a_request, an_attempt, rows

SMALL = RungAccount(
    model_id=ModelId("s"),
    model_name="small",
    p_ok=0.7,
    confidence=0.4,
    threshold=0.6,
    basis=Basis(guess=0.75, rank=0.7, cost_microusd=0.25, parameters=7, judged=True),
)
BIG = RungAccount(
    model_id=ModelId("b"),
    model_name="big",
    p_ok=0.95,
    chosen=True,
    basis=Basis(guess=0.95, rank=0.95, cost_microusd=900.5, preferred=True, in_cloud=True),
)
FORBIDDEN = RungAccount(ModelId("f"), "other", removed_by="a rule", basis=Basis(by_rule=True))


def test_a_ladder_is_read_as_it_was_written() -> None:
    assert read_ladder(write_ladder((SMALL, BIG, FORBIDDEN))) == (SMALL, BIG, FORBIDDEN)
    assert chosen_of((SMALL, BIG)) is BIG


def test_what_is_no_ladder_is_read_as_none() -> None:
    assert read_ladder("") == ()
    assert read_ladder("{broken") == ()
    assert read_ladder('[{"name":"without an id"}]') == ()


def test_a_long_ladder_is_cut() -> None:
    assert len(read_ladder(write_ladder([SMALL] * 100))) == RUNGS_KEPT_MAX


async def test_a_request_is_kept_with_its_ladder_and_what_it_was_about(
    new_ledger: NewLedger, folder: Path
) -> None:
    request = a_request(
        origin=Origin("agent", "web", "fix-42", ("nightly", "ci")),
        assessment=Assessment(domain="networking", task_class="sums"),
    )
    ledger = new_ledger()
    async with ledger.running():
        ledger.request_arrived(request)
        ledger.request_ended(request, a_receipt(request, an_attempt(), ladder=(SMALL, BIG)), None)
    [row] = rows(folder)
    assert (row["initiator"], row["team"], row["task"]) == ("agent", "web", "fix-42")
    assert (row["tags"], row["domain"], row["task_class"]) == ("nightly,ci", "networking", "sums")
    assert read_ladder(row["ladder"]) == (SMALL, BIG)


async def test_the_newest_word_on_an_answer_is_the_one_that_stays(
    new_ledger: NewLedger, folder: Path
) -> None:
    request = a_request("r")
    said = {"arrived_us": 7, "principal": "ann", "request_id": "r", "kind": "feedback"}
    async with new_ledger().running():
        pass
    ledger = new_ledger()
    async with ledger.running():
        ledger.request_arrived(request)
        ledger.labelled({**said, "score": 0.0, "guess": 0.5})
        ledger.labelled({**said, "score": 1.0, "guess": 0.5})
        ledger.labelled({**said, "kind": "audit", "score": 0.25, "guess": 0.5})
    found = rows(folder, "SELECT kind, score FROM labels ORDER BY kind")
    assert [(row["kind"], row["score"]) for row in found] == [("audit", 0.25), ("feedback", 1.0)]
