"""What happened to a request is one row, whatever happened to it."""

import json
import os
from pathlib import Path

from sqlalchemy import Connection, create_engine, inspect

from coordinator.ledger.database import REVISIONS, migrate, reading, revision_of
from coordinator.ledger.records import RECORD_BYTES_MAX
from mesh.core.receipt import RuledOut
from mesh.core.types import (
    CLOUD_NODE,
    Capability,
    Failure,
    FailureCode,
    NodeId,
    Policy,
    Tier,
    Usage,
)
from tests.coordinator.ledger.conftest import NewLedger
from tests.coordinator.ledger.played_requests import (
    NOON_S,
    Clock,
    a_receipt,
    a_request,
    an_attempt,
    answer,
    bytes_of,
    fail,
    files,
    mode,
    rows,
    settled,
    states,
)


async def test_an_answered_request_is_one_row_with_what_routing_saw_and_what_came_of_it(
    new_ledger: NewLedger, folder: Path
) -> None:
    needs = frozenset({Capability.TOOLS, Capability.GRAMMAR})
    request = a_request("r", model="qwen", policy=Policy.FAST, session="s", needs=needs)
    ledger = new_ledger()
    async with ledger.running():
        answer(ledger, request)
    [row] = rows(folder)
    assert (row["principal"], row["request_id"], row["state"]) == ("ann", "r", "answered")
    assert row["arrived_us"] == NOON_S * 1_000_000
    assert (row["asked_model"], row["policy"], row["session"]) == ("qwen", "fast", "s")
    assert (row["tier_allowed"], row["prompt_bytes"], row["max_tokens"]) == (Tier.MESH, 100, 16)
    assert row["needs"] == "grammar,tools"
    assert (row["served_model"], row["place"], row["place_id"]) == ("qwen", "desk", "n1")
    assert (row["prompt_tokens"], row["cached_tokens"], row["completion_tokens"]) == (10, 4, 5)
    assert (row["tier"], row["usage_source"], row["attempts"]) == (Tier.MESH, "node", 1)
    assert (row["queued_us"], row["first_token_us"], row["total_us"]) == (
        10_000,
        250_000,
        1_250_000,
    )
    assert (row["failure"], row["why"], row["cost_microusd"]) == ("", "the only one", 0)
    receipt = json.loads(row["receipt"])
    assert receipt["candidates"][0]["place"] == "desk"
    assert receipt["ruled_out"] == [{"place": "laptop", "reason": "has no such model"}]


async def test_each_attempt_is_a_row_with_its_own_usage_and_price(
    new_ledger: NewLedger, folder: Path
) -> None:
    request = a_request(tier=Tier.CLOUD)
    broken = an_attempt("node_lost", usage=Usage(10, 0, 2))
    paid = an_attempt(
        node_id=CLOUD_NODE,
        node_name="api.example",
        tier=Tier.CLOUD,
        usage=Usage(10, 0, 7, 3),
        cost_microusd=90,
        price_version="operator",
    )
    ledger = new_ledger()
    async with ledger.running():
        ledger.request_arrived(request)
        ledger.request_ended(request, a_receipt(request, broken, paid), None)
    first, second = rows(folder, "SELECT * FROM attempts ORDER BY number")
    assert (first["outcome"], first["usage_source"]) == ("node_lost", "coordinator")
    assert (first["completion_tokens"], first["cost_microusd"]) == (2, 0)
    assert (second["outcome"], second["usage_source"]) == ("answered", "upstream")
    assert (second["completion_tokens"], second["reasoning_tokens"]) == (7, 3)
    assert (second["cost_microusd"], second["price_version"]) == (90, "operator")
    [row] = rows(folder)
    assert first["request"] == second["request"] == row["id"]
    assert (row["tier"], row["cost_microusd"], row["price_version"]) == (Tier.CLOUD, 90, "operator")
    assert (row["place"], row["completion_tokens"], row["attempts"]) == ("api.example", 7, 2)


async def test_a_failed_and_a_cancelled_request_have_their_row_too(
    new_ledger: NewLedger, folder: Path
) -> None:
    ledger = new_ledger()
    async with ledger.running():
        fail(ledger)
        fail(ledger, FailureCode.CANCELLED)
    failed, cancelled = rows(folder)
    assert (failed["state"], failed["failure"]) == ("failed", "no_capable_node")
    assert (cancelled["state"], cancelled["failure"]) == ("cancelled", "cancelled")
    assert (failed["attempts"], failed["place"], failed["usage_source"]) == (0, "", "")


async def test_an_open_request_is_open_until_it_ends(new_ledger: NewLedger, folder: Path) -> None:
    ledger = new_ledger()
    async with ledger.running():
        request = a_request()
        ledger.request_arrived(request)
        await settled(ledger)
        assert states(folder) == {"open": 1}
        ledger.request_ended(request, a_receipt(request, an_attempt()), None)
        await settled(ledger)
        assert states(folder) == {"answered": 1}
        assert len(rows(folder, "SELECT * FROM attempts")) == 1


async def test_an_id_that_is_used_again_is_another_request(
    new_ledger: NewLedger, folder: Path, clock: Clock
) -> None:
    ledger = new_ledger()
    async with ledger.running():
        answer(ledger, a_request("r"))
        clock.now_s += 1
        answer(ledger, a_request("r"))
    assert states(folder) == {"answered": 2}


async def test_words_that_a_node_said_are_not_kept(new_ledger: NewLedger, folder: Path) -> None:
    """Its model's template may have said them of a prompt."""
    said = "template failed at 'the secret plan'"
    request = a_request()
    receipt = a_receipt(
        request,
        an_attempt("invalid_request", reason=said),
        why=f"tried again because {said}",
        notes=(said,),
        ruled_out=(RuledOut(NodeId("n1"), "desk", said),),
    )
    ledger = new_ledger()
    async with ledger.running():
        ledger.request_arrived(request)
        ledger.request_ended(request, receipt, Failure(FailureCode.INVALID_REQUEST, said))
    [row] = rows(folder)
    assert row["why"] == "tried again because invalid_request"
    kept = bytes_of(folder)
    assert b"secret plan" not in kept
    assert b"tried again because" in kept, "the words are looked for where they would be"


async def test_a_receipt_that_is_too_long_for_a_record_loses_its_particulars_only(
    new_ledger: NewLedger, folder: Path
) -> None:
    request = a_request()
    many = [an_attempt("busy", numerics="n" * 500) for _ in range(200)]
    ledger = new_ledger()
    async with ledger.running():
        ledger.request_arrived(request)
        ledger.request_ended(request, a_receipt(request, *many, an_attempt()), None)
    [row] = rows(folder)
    assert (row["state"], row["attempts"], row["receipt"]) == ("answered", 201, "")
    [last] = rows(folder, "SELECT * FROM attempts")
    assert (last["number"], last["outcome"]) == (200, "answered")
    lines = bytes_of(folder / "journal").split(b"\n")
    assert max(map(len, lines)) <= RECORD_BYTES_MAX + len("01234567 ")


async def test_the_files_are_their_owners_alone(new_ledger: NewLedger, folder: Path) -> None:
    ledger = new_ledger()
    async with ledger.running():
        answer(ledger)
        await settled(ledger)
        there = files(folder)
        assert {path.suffix for path in there} >= {".db", ".db-wal", ".db-shm", ".journal"}
        assert {mode(path) for path in there} == {0o600}
        assert mode(folder) == mode(folder / "journal") == 0o700


async def test_a_store_that_others_could_read_is_closed_to_them(
    new_ledger: NewLedger, folder: Path
) -> None:
    async with new_ledger().running():
        pass
    os.chmod(folder / "ledger.db", 0o644)
    async with new_ledger().running():
        assert mode(folder / "ledger.db") == 0o600


async def test_migrations_lead_to_the_tables_that_the_code_knows(
    new_ledger: NewLedger, folder: Path
) -> None:
    async with new_ledger().running():
        pass
    stepwise = create_engine("sqlite://")
    with reading(folder / "ledger.db", within_s=5.0) as made, stepwise.connect() as grown:
        migrate(grown)
        assert revision_of(made) == revision_of(grown) == REVISIONS[-1]
        assert shape(made) == shape(grown)
    stepwise.dispose()


def shape(connection: Connection) -> dict[str, object]:
    """Return the columns, keys and indices of every table."""
    seen = inspect(connection)
    return {
        table: (
            [{**column, "type": str(column["type"])} for column in seen.get_columns(table)],
            seen.get_pk_constraint(table)["constrained_columns"],
            seen.get_indexes(table),
            seen.get_unique_constraints(table),
        )
        for table in seen.get_table_names()
    }
