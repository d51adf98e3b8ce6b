"""``deskmesh ask``: one prompt, streamed."""

import asyncio
import sys
from contextlib import AsyncExitStack
from typing import Annotated, Any

import typer

from mesh.cli.output import errors, plain_error, print_json, say_error
from mesh.cli.receipt import explain, summary
from mesh.cli.usage import words_blamed
from mesh.client import AnswerStream, Messages, Origin, connect
from mesh.errors import InvalidRequest, MeshError
from mesh.process import DONE, FAILED, WRONG_USAGE
from mesh.wire.plain import to_plain

STDIN_BYTES_MAX = 16 * 1024 * 1024  # half of what one message of the mesh may hold


def register(app: typer.Typer) -> None:
    app.command("ask")(ask)


def ask(  # noqa: PLR0913, PLR0917 - each is an option of the command
    prompt: Annotated[
        str | None, typer.Argument(help="What to ask; - reads it from stdin.")
    ] = None,
    model: Annotated[str, typer.Option("--model", "-m", help="A name; auto chooses.")] = "auto",
    system: Annotated[str, typer.Option(help="A system message before the prompt.")] = "",
    max_tokens: Annotated[int, typer.Option(min=0, help="0: until the model ends.")] = 0,
    temperature: Annotated[float | None, typer.Option(help="0 is greedy.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Repeatable answers.")] = None,
    stop: Annotated[list[str] | None, typer.Option(help="End before this text.")] = None,
    tier: Annotated[
        str, typer.Option(help="How far the prompt may travel: device, mesh, cloud.")
    ] = "",
    policy: Annotated[
        str, typer.Option(help="frugal, balanced, best, fast, private or the operator's own.")
    ] = "balanced",
    session: Annotated[str, typer.Option(help="Requests of one conversation share it.")] = "",
    domain: Annotated[str, typer.Option(help="What it is about; empty: it is recognised.")] = "",
    team: Annotated[str, typer.Option(help="Whose request it is, for rules and the ledger.")] = "",
    task: Annotated[str, typer.Option(help="Requests of one task share it.")] = "",
    tag: Annotated[list[str] | None, typer.Option(help="For rules; may be repeated.")] = None,
    substitute: Annotated[
        bool, typer.Option("--accept-substitute", help="Another model may answer, as capable.")
    ] = False,
    timeout: Annotated[float, typer.Option(min=0.001, help="Seconds for the whole answer.")] = 600,
    explained: Annotated[
        bool, typer.Option("--explain", help="Say which machines could, which not, and why.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print answer and receipt.")] = False,
    address: Annotated[
        str, typer.Option(help="host:port of a local gRPC port; empty: this machine's mesh.")
    ] = "",
) -> None:
    """Ask the mesh. The answer streams to stdout, its receipt to stderr."""
    text = prompt_of(prompt)
    messages = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": text})
    parameters: dict[str, Any] = {
        "model": model,
        "max_tokens": max_tokens,
        "temperature": temperature,
        "seed": seed,
        "stop": stop or (),
        "tier": tier,
        "policy": policy,
        "session": session,
        "domain": domain,
        "origin": Origin(team=team, task=task, tags=tuple(tag or ())),
        "accept_substitute": substitute,
        "accept_restart": as_json,  # which shows nothing before its end
        "timeout_s": timeout,
        "explain": explained,
    }
    code = asyncio.run(_ask(messages, parameters, address, explained=explained, as_json=as_json))
    if code != DONE:
        raise typer.Exit(code)


async def _ask(
    messages: Messages,
    parameters: dict[str, Any],
    address: str,
    *,
    explained: bool,
    as_json: bool,
) -> int:
    pieces: list[str] = []
    restarts = 0
    async with AsyncExitStack() as stack:
        mesh = await stack.enter_async_context(connect(address or None))
        with words_blamed():
            answer = await stack.enter_async_context(mesh.generate(messages, **parameters))
        try:
            async for piece in answer:
                if answer.restarts != restarts:
                    restarts = answer.restarts
                    pieces.clear()
                pieces.append(piece)
                if not as_json:
                    sys.stdout.write(piece)
                    sys.stdout.flush()
        except MeshError as failure:
            return _failed(failure, answer, pieces, explained=explained, as_json=as_json)
    if answer.restarts != restarts:  # and nothing came after
        pieces.clear()
    if as_json:
        print_json(_plain(answer, pieces))
        return DONE
    sys.stdout.write("" if pieces and pieces[-1].endswith("\n") else "\n")
    sys.stdout.flush()
    if answer.finish_reason == "length":
        errors.print("(cut: max tokens, or the model's context, was reached)", style="yellow")
    errors.print(summary(answer.receipt, answer.usage), style="dim")
    if explained:
        errors.print(f"request {answer.receipt.request_id}")
        explain(answer.receipt, errors)
    else:
        for note in answer.receipt.notes:
            errors.print(note, style="dim")
    return DONE


def _failed(
    failure: MeshError, answer: AnswerStream, pieces: list[str], *, explained: bool, as_json: bool
) -> int:
    code = WRONG_USAGE if isinstance(failure, InvalidRequest) else FAILED
    if as_json:
        error = plain_error(failure)
        print_json({**_plain(answer, pieces), "error": error})
        return code
    if pieces:
        sys.stdout.write("\n")
        sys.stdout.flush()
    say_error(failure)
    if explained:
        explain(answer.receipt, errors)
    return code


def _plain(answer: AnswerStream, pieces: list[str]) -> dict[str, Any]:
    attempts = answer.receipt.attempts
    return {
        "text": "".join(pieces),
        "finish_reason": answer.finish_reason,
        "model": attempts[-1].model_name if attempts else "",
        "node": attempts[-1].node_name if attempts else "",
        "usage": to_plain(answer.usage),
        "receipt": to_plain(answer.receipt),
    }


def prompt_of(given: str | None) -> str:
    """Return the prompt that a command was given, which - reads from stdin.

    Raises:
        InvalidRequest: stdin holds none.
        typer.BadParameter: there is none.
    """
    if given is None:
        raise typer.BadParameter(
            "there is none: give it in quotes, or - to read it from stdin", param_hint="the prompt"
        )
    return _from_stdin() if given == "-" else given


def _from_stdin() -> str:
    data = sys.stdin.buffer.read(STDIN_BYTES_MAX + 1)
    if len(data) > STDIN_BYTES_MAX:
        raise InvalidRequest(f"stdin holds more than {STDIN_BYTES_MAX // 2**20} MiB")
    try:
        return data.decode()
    except UnicodeDecodeError as failure:
        raise InvalidRequest(f"stdin is not UTF-8 (byte {failure.start})") from None
