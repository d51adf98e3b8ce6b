"""``deskmesh feedback`` and ``deskmesh outcome``: how good an answer was, what became of a task."""

import asyncio
from enum import StrEnum
from typing import Annotated

import typer

from mesh.cli.output import console, print_json
from mesh.cli.usage import WrongUsage, words_blamed
from mesh.client import MeshClient, connect
from mesh.v1 import inference_pb2 as inference


class Source(StrEnum):
    """Who says so."""

    HUMAN = "human"
    TEST = "test"
    JUDGE = "judge"


def register(app: typer.Typer) -> None:
    app.command("feedback")(feedback)
    app.command("outcome")(outcome)


def feedback(  # noqa: PLR0913, PLR0917 - each is an option of the command
    request_id: Annotated[str, typer.Argument(help="The id of the request, from its receipt.")],
    score: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="From 0 (wrong) to 1 (right).")
    ] = None,
    good: Annotated[bool, typer.Option("--good", help="The same as --score 1.")] = False,
    bad: Annotated[bool, typer.Option("--bad", help="The same as --score 0.")] = False,
    label: Annotated[str, typer.Option(help="Free words, at most 64 characters.")] = "",
    source: Annotated[Source, typer.Option(help="Who says so.")] = Source.HUMAN,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say how good an answer was. The ladder learns from it; the last word counts."""
    said = score_of(score, good=good, bad=bad)
    message = inference.Feedback(
        request_id=request_id, score=said, label=label, source=source.value
    )
    asyncio.run(_tell(message))
    if as_json:
        print_json({"request_id": request_id, "score": said, "source": source.value})
    else:
        console.print(f"kept: {said:g} for request {request_id}")


def outcome(
    task_id: Annotated[str, typer.Argument(help="The task, as its requests told it.")],
    became: Annotated[
        str, typer.Argument(help="merged, resolved, reopened, ...", metavar="OUTCOME")
    ],
    value: Annotated[float, typer.Option(help="Your own measure of its worth.")] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what became of a task. It is kept in the ledger."""
    asyncio.run(_tell(inference.Outcome(task_id=task_id, outcome=became, value=value)))
    if as_json:
        print_json({"task_id": task_id, "outcome": became, "value": value})
    else:
        console.print(f"kept: task {task_id} was {became}")


def score_of(score: float | None, *, good: bool, bad: bool) -> float:
    """Return the one score that was given.

    Raises:
        WrongUsage: none was, or several.
    """
    given = (score, 1.0 if good else None, 0.0 if bad else None)
    told = [each for each in given if each is not None]
    if len(told) != 1:
        what = "no score was given" if not told else "more than one score was given"
        raise WrongUsage(what, hint="say --score 0..1, or --good, or --bad")
    return told[0]


async def _tell(message: inference.Feedback | inference.Outcome) -> None:
    async with connect() as mesh:
        with words_blamed():
            await _send(mesh, message)


async def _send(mesh: MeshClient, message: inference.Feedback | inference.Outcome) -> None:
    if isinstance(message, inference.Feedback):
        await mesh.feedback(message)
    else:
        await mesh.outcome(message)
