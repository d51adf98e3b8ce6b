"""What a client wrote into its request moves no cursor of an operator's terminal."""

import pytest

from mesh.cli import explaining, ledger
from mesh.v1 import inference_pb2 as inference
from mesh.v1 import operations_pb2 as operations

FORGED = "\x1b]0;mine\x07\x1b[2J\u009b31m\nr9  ann  answered"


def lines(text: str) -> list[str]:
    assert all(line.isprintable() for line in text.split("\n"))
    return text.strip().split("\n")


def test_a_forged_model_name_is_one_row_of_the_ledger(capsys: pytest.CaptureFixture[str]) -> None:
    row = operations.LedgerRequest(request_id="r1", principal="ann", asked_model=FORGED)
    ledger._show_requests([row])
    shown = lines(capsys.readouterr().out)
    assert sum("ann" in line.split() for line in shown[1:]) >= 1
    assert not any(line.startswith("r9") for line in shown)


def test_a_forged_model_name_stays_in_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    receipt = inference.Receipt(request_id="r1", asked_model=FORGED)
    explaining.show(operations.ExplainRequestResponse(receipt=receipt, principal="ann"))
    assert lines(capsys.readouterr().out)[0].startswith("request r1 of ann")
