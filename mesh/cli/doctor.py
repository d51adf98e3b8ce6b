"""``deskmesh doctor``: what is wrong here, and what to do about it."""

from dataclasses import asdict
from typing import Annotated

import typer
from rich.text import Text

from mesh.cli.output import console, print_json
from mesh.doctor.examining import examine
from mesh.doctor.finding import Finding, Verdict
from mesh.process import FAILED

_STYLES = {Verdict.OK: "green", Verdict.WARNING: "yellow", Verdict.FAILED: "bold red"}


def register(app: typer.Typer) -> None:
    app.command("doctor")(doctor)


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check this machine: one line each, and what to do. Exit code 1 if a check failed."""
    findings = []
    for finding in examine():
        findings.append(finding)
        if not as_json:
            _show(finding)
    if as_json:
        print_json({"checks": [asdict(finding) for finding in findings]})
    if any(finding.verdict is Verdict.FAILED for finding in findings):
        raise typer.Exit(FAILED)


def _show(finding: Finding) -> None:
    line = Text(f"{finding.verdict.value:<8}", style=_STYLES[finding.verdict])
    line.append(f"{finding.check:<12} {finding.what}", style="not bold default")
    if finding.mend:
        line.append(f"; {finding.mend}", style="not bold default")
    console.print(line, soft_wrap=True)
