"""What a person reads of a receipt, on a wide terminal and on a narrow one."""

import io

import pytest
from rich.console import Console

from mesh.cli.receipt import explain
from mesh.v1 import inference_pb2 as inference

REASON = "first token in 1.2 s, desk's in 300 ms (cost 1.4 against 0.4)"


def a_receipt() -> inference.Receipt:
    """The answer began on the laptop, which died, and went on at the desk."""
    return inference.Receipt(
        why="the largest model; desk is predicted to begin in 0.30 s, shelf in 1.20 s",
        candidates=[
            inference.CandidateView(
                node_name="desk",
                model_name="qwen",
                predicted_first_token_s=0.3,
                predicted_completion_s=2,
            ),
            inference.CandidateView(
                node_name="shelf",
                model_name="qwen",
                predicted_first_token_s=1.2,
                predicted_completion_s=8,
                reason=REASON,
            ),
        ],
        ruled_out=[inference.RuledOut(node_name="attic", reason="asleep")],
        attempts=[
            inference.Attempt(
                node_name="laptop",
                outcome="node_lost",
                first_token_s=0.2,
                duration_s=1,
                usage=inference.Usage(completion_tokens=12),
            ),
            inference.Attempt(
                node_name="desk",
                outcome="answered",
                first_token_s=0.3,
                predicted_first_token_s=0.3,
                duration_s=2,
                usage=inference.Usage(completion_tokens=30),
            ),
        ],
    )


def shown(receipt: inference.Receipt, columns: int) -> list[str]:
    written = io.StringIO()
    explain(receipt, Console(file=written, width=columns, highlight=False, markup=False))
    return written.getvalue().splitlines()


def test_a_wide_terminal_has_a_line_for_each_candidate_with_its_reason() -> None:
    lines = shown(a_receipt(), 160)
    assert any("chosen, or why not" in line for line in lines)
    (desk,) = [line for line in lines if line.startswith("desk")]
    (shelf,) = [line for line in lines if line.startswith("shelf")]
    assert "predicted 300 ms" in desk
    assert "predicted 2.0 s" in desk
    assert desk.rstrip().endswith("chosen")
    assert shelf.rstrip().endswith(REASON)


@pytest.mark.parametrize("columns", [40, 72, 100])
def test_a_narrow_terminal_has_the_same_words_in_whole_lines(columns: int) -> None:
    words = " ".join(" ".join(shown(a_receipt(), columns)).split())
    assert "desk could, with qwen: first token predicted 300 ms" in words
    assert f"not chosen: {REASON}" in words
    assert "attic could not: asleep" in words


@pytest.mark.parametrize("columns", [60, 160])
def test_a_handoff_is_told_with_the_token_at_which_it_went_on(columns: int) -> None:
    words = " ".join(" ".join(shown(a_receipt(), columns)).split())
    assert "tried laptop: node lost, 12 tokens given (first token 200 ms; 1.0 s in all)" in words
    assert "tried desk went on at token 12: answered (first token 300 ms" in words
